/* resolve.c: names and literals to addresses, through getaddrinfo(3), blocking.
 *
 * What the system's resolver does is what users expect (hosts(5), nsswitch.conf(5), the order of RFC 6724),
 * so it is asked and not imitated. Some questions are not put to it, because an answer cannot exist and
 * asking would only take time or mislead:
 * - labels over 63 bytes and names over 253 (RFC 1035, 2.3.4; RFC 1123, 2.1);
 * - ports above 65535, of which the resolver would take the lower 16 bits;
 * - texts of numbers and dots ("10.0.0.256") and texts with a colon are literals or nothing: they are read
 *   with AI_NUMERICHOST, so no name server is asked about them.
 * One socket type is asked for, so each address comes once. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "name/name.h"

enum {
    LABEL_MAX = 63,
    NAME_MAX_BYTES = 253,
    SHOWN_MAX = 40, /* of a name that is too long */
};

static int check_host(const char *host, struct eye_err *reterr) {
    size_t size = strlen(host);
    if (size == 0)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_RESOLVE, "empty name");
    if (host[size - 1] == '.')
        size--; /* the root, which adds nothing to what people count */
    for (size_t i = 0, label = 0; i < size; i++) {
        label = host[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) {
            label += strcspn(host + i + 1, ".");
            return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_RESOLVE,
                           "%.*s...: a label of %zu bytes, at most %d "
                           "are possible",
                           SHOWN_MAX, host, label, LABEL_MAX);
        }
    }
    if (size > NAME_MAX_BYTES)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_RESOLVE,
                       "%.*s...: a name of %zu bytes, at most %d are "
                       "possible",
                       SHOWN_MAX, host, size, NAME_MAX_BYTES);
    return 0;
}

/* Whether a host is made of numbers and dots only, as inet_aton(3) counts numbers. */
static bool is_numbers(const char *host) {
    const char *label = host;
    do {
        size_t size = strcspn(label, ".");
        bool hex = size >= 2 && label[0] == '0' && ascii_lower(label[1]) == 'x';
        const char *digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
        size_t skip = hex ? 2 : 0;
        if (size == 0 || strspn(label + skip, digits) != size - skip)
            return false;
        label += size;
    } while (*label++ == '.');
    return true;
}

/* Adds what the resolver's words leave out. */
static void explain(const char *host, const char *port, int eai, struct eye_err *reterr) {
    const char *percent = host ? strchr(host, '%') : NULL;
    struct in6_addr in6;
    uint32_t index;

    if (eai == EAI_SERVICE)
        err_cause(reterr, "no service '%s' is known here (services(5))", port);
    else if (percent && name_read_ipv6(host, (size_t)(percent - host), &in6) &&
             name_read_zone(percent + 1, strlen(percent + 1), &index) < 0)
        err_cause(reterr, "this host has no interface '%s'", percent + 1);
    else if (eai == EAI_NONAME && host && is_numbers(host))
        err_cause(reterr,
                  "this reads as an IPv4 address, but is none: a part is too large or there are too many");
    else if (eai == EAI_AGAIN)
        err_cause(reterr, "no name server answered (resolv.conf(5))");
}

/* "localhost" and the names below it are the loopback addresses, whatever a name server knows of them
 * (RFC 6761, 6.3). */
static bool is_localhost(const char *host) {
    static const char name[] = "localhost";
    const size_t name_size = sizeof(name) - 1;
    size_t size = strlen(host);
    if (size > 0 && host[size - 1] == '.')
        size--;
    if (size < name_size || strncasecmp(host + size - name_size, name, name_size) != 0)
        return false;
    return size == name_size || host[size - name_size - 1] == '.';
}

static int addrs_copy(const struct addrinfo *found, const char *canonical, struct eye_addrs *ret_addrs) {
    struct eye_addrs addrs = {0};
    size_t count = 0;
    assert(found);
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next)
        count++;
    addrs.list = calloc(count, sizeof(*addrs.list));
    if (canonical)
        addrs.canonical = strdup(canonical);
    if (!addrs.list || (canonical && !addrs.canonical)) {
        eye_addrs_done(&addrs);
        return -ENOMEM;
    }
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next) {
        struct eye_addr *addr = &addrs.list[addrs.count++];
        addr->len = ai->ai_addrlen;
        memcpy(&addr->u, ai->ai_addr, MIN(ai->ai_addrlen, sizeof(addr->u)));
    }
    *ret_addrs = addrs;
    return 0;
}

int eye_resolve(const char *host, const char *port, const struct eye_resolve_opts *opts,
                struct eye_addrs *ret_addrs, struct eye_err *reterr) {
    static const struct eye_resolve_opts no_opts = {0};
    if (!opts)
        opts = &no_opts;
    if (!port)
        port = "0";
    int r = host ? check_host(host, reterr) : 0;
    if (r < 0)
        return r;
    if (name_check_port(port, strlen(port)) < 0)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "'%s' is no port: a number up to 65535 or a service's name", port);

    bool literal = opts->numeric || (host && (strchr(host, ':') || is_numbers(host)));
    struct addrinfo hints = {
        .ai_family = opts->family == 4   ? AF_INET
                     : opts->family == 6 ? AF_INET6
                                         : AF_UNSPEC,
        .ai_socktype = opts->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM,
        .ai_protocol = opts->protocol ? opts->protocol : IPPROTO_TCP,
        .ai_flags = (opts->passive ? AI_PASSIVE : 0) | (literal ? AI_NUMERICHOST : 0) |
                    (opts->canonical && host ? AI_CANONNAME : 0),
    };
    struct addrinfo *found;
    int eai = getaddrinfo(host, port, &hints, &found);
    if (eai && host && !literal && is_localhost(host)) {
        hints.ai_flags = 0;
        eai = getaddrinfo(NULL, port, &hints, &found);
    }
    if (eai) {
        int code = eai == EAI_SYSTEM ? -errno : eai == EAI_MEMORY ? -ENOMEM : EYE_EAI_BASE + eai;
        err_set(reterr, code, EYE_FAIL_RESOLVE, "%s: %s", host ? host : port, eye_strerror(code));
        explain(host, port, eai, reterr);
        return code;
    }
    const char *canonical = found->ai_canonname ? found->ai_canonname : host;
    r = addrs_copy(found, opts->canonical ? canonical : NULL, ret_addrs);
    freeaddrinfo(found);
    return r < 0 ? err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", host ? host : port, eye_strerror(r)) : r;
}

void eye_addrs_done(struct eye_addrs *addrs) {
    free(addrs->list);
    free(addrs->canonical);
    *addrs = (struct eye_addrs){0};
}
