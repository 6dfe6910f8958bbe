/* addr.c: numeric addresses from and to text.
 *
 * IPv4 is inet_pton(3)'s four decimal octets without leading zeros: "010.0.0.1" means different hosts to
 * different programs, so only the resolver takes such forms. IPv6 is read as RFC 4291, 2.2 has it and
 * written as RFC 5952 says, which is what inet_ntop(3) does; mapped and compatible addresses show their
 * IPv4 part (RFC 5952, 5). A zone (RFC 4007, 11) is an interface's name, or a number where it has none
 * that could stand in an address. In "A:B:C" a port cannot be told from the address, so with a port the
 * IPv6 literal stands in brackets.
 *
 * A Unix path without a '/', './', '../' in front is written with './', so that every text that is written
 * says what it is. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "name/name.h"

_Static_assert(4 * sizeof(struct sockaddr_un) + sizeof("./") < EYE_ADDR_TEXT_MAX, "an escaped path fits");

/* Copies a piece of a text into a string of its own; false where it is too long. */
static bool piece_copy(char *out, size_t out_size, const char *text, size_t size) {
    if (size >= out_size)
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

bool name_read_ipv4(const char *text, size_t size, struct in_addr *ret_in) {
    char literal[INET_ADDRSTRLEN];
    return piece_copy(literal, sizeof(literal), text, size) && inet_pton(AF_INET, literal, ret_in) == 1;
}

bool name_read_ipv6(const char *text, size_t size, struct in6_addr *ret_in6) {
    char literal[INET6_ADDRSTRLEN];
    return piece_copy(literal, sizeof(literal), text, size) && inet_pton(AF_INET6, literal, ret_in6) == 1;
}

int name_read_zone(const char *zone, size_t size, uint32_t *ret_index) {
    char name[IF_NAMESIZE];
    uint64_t number;
    if (piece_copy(name, sizeof(name), zone, size)) {
        unsigned index = if_nametoindex(name);
        if (index) {
            *ret_index = index;
            return 0;
        }
    }
    if (text_parse_uint(zone, size, UINT32_MAX, &number) < 0)
        return -ENODEV;
    *ret_index = (uint32_t)number;
    return 0;
}

int name_check_port(const char *text, size_t size) {
    uint64_t port;
    bool letter = false;
    int r = text_parse_uint(text, size, UINT16_MAX, &port);
    if (r != EYE_ESYNTAX)
        return r;
    if (size == 0 || text[0] == '-' || text[size - 1] == '-')
        return EYE_ESYNTAX;
    for (size_t i = 0; i < size; i++) {
        if (ascii_is_alpha(text[i]))
            letter = true;
        else if (!ascii_is_digit(text[i]) && text[i] != '-')
            return EYE_ESYNTAX;
    }
    return letter ? 0 : EYE_ESYNTAX;
}

bool name_is_path(const char *text) {
    static const char *const starts[] = {"/", "./", "../", "@"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

int name_check_path(const char *path, const char *text, struct eye_err *reterr) {
    bool abstract = path[0] == '@';
    const char *kind = abstract ? "abstract name" : "path";
    size_t size = strlen(path) - abstract;
    if (size == 0)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "empty %s in '%s'", kind, text);
    /* A path needs its NUL; an abstract name has one in front instead (unix(7)). Both leave 107 bytes. */
    if (size > UNIX_PATH_MAX)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s of %zu bytes, where at most %zu fit, in '%s'",
                       kind, size, UNIX_PATH_MAX, text);
    return 0;
}

static int path_parse(const char *text, struct eye_addr *ret_addr, struct eye_err *reterr) {
    int r = name_check_path(text, text, reterr);
    if (r < 0) {
        err_column(reterr, 0);
        return r;
    }
    struct eye_addr addr;
    memset(&addr, 0, sizeof(addr)); /* all of the union, which an initializer need not reach */
    addr.u.un.sun_family = AF_UNIX;
    size_t size = strlen(text);
    memcpy(addr.u.un.sun_path, text, size);
    if (text[0] == '@')
        addr.u.un.sun_path[0] = '\0';
    else
        size++;
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    *ret_addr = addr;
    return 0;
}

static int bad(const char *text, size_t column, struct eye_err *reterr, const char *what) {
    int r = err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s in '%s'", what, text);
    err_column(reterr, column);
    return r;
}

/* Reads the IPv6 literal of size bytes at column, with its zone. */
static int ipv6_parse(const char *text, size_t column, size_t size, struct sockaddr_in6 *ret_in6,
                      struct eye_err *reterr) {
    const char *literal = text + column;
    const char *percent = memchr(literal, '%', size);
    size_t literal_size = percent ? (size_t)(percent - literal) : size;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (!name_read_ipv6(literal, literal_size, &in6.sin6_addr))
        return bad(text, column, reterr, "no IPv6 address");
    if (percent) {
        const char *zone = percent + 1;
        size_t zone_size = size - literal_size - 1;
        if (zone_size == 0)
            return bad(text, (size_t)(zone - text), reterr, "empty zone");
        if (name_read_zone(zone, zone_size, &in6.sin6_scope_id) < 0) {
            err_set(reterr, -ENODEV, EYE_FAIL_RESOLVE, "no interface '%.*s' for the zone in '%s'",
                    (int)zone_size, zone, text);
            err_column(reterr, (size_t)(zone - text));
            return -ENODEV;
        }
    }
    *ret_in6 = in6;
    return 0;
}

int eye_addr_parse(const char *text, struct eye_addr *ret_addr, struct eye_err *reterr) {
    if (name_is_path(text))
        return path_parse(text, ret_addr, reterr);

    /* The host, and where the port begins or 0. */
    size_t host = 0, host_size = strlen(text), port_column = 0;
    const char *colon = strchr(text, ':');
    bool ipv6 = true;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close)
            return bad(text, host_size, reterr, "no ']'");
        host = 1;
        host_size = (size_t)(close - text) - 1;
        if (close[1] != '\0' && close[1] != ':')
            return bad(text, host + host_size + 1, reterr, "neither end nor port after ']'");
        if (close[1] == ':')
            port_column = host + host_size + 2;
    } else if (!colon || !strchr(colon + 1, ':')) {
        ipv6 = false;
        if (colon) {
            host_size = (size_t)(colon - text);
            port_column = host_size + 1;
        }
    }

    struct eye_addr addr;
    memset(&addr, 0, sizeof(addr));
    if (ipv6 || (host_size == 0 && port_column)) {
        addr.len = sizeof(addr.u.in6);
        addr.u.in6.sin6_family = AF_INET6;
        int r = ipv6 ? ipv6_parse(text, host, host_size, &addr.u.in6, reterr) : 0;
        if (r < 0)
            return r;
    } else {
        addr.len = sizeof(addr.u.in);
        addr.u.in.sin_family = AF_INET;
        if (!name_read_ipv4(text, host_size, &addr.u.in.sin_addr))
            return bad(text, 0, reterr, host_size ? "no numeric address" : "empty address");
    }
    if (port_column) {
        const char *digits = text + port_column;
        uint64_t port;
        int r = text_parse_uint(digits, strlen(digits), UINT16_MAX, &port);
        if (r < 0)
            return bad(text, port_column, reterr, r == -ERANGE ? "port above 65535" : "no port number");
        /* The two families keep it in one place. */
        addr.u.in.sin_port = htons((uint16_t)port);
    }
    *ret_addr = addr;
    return 0;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "one place for the port");

/* Writes "%zone" by the interface's name, or by number where the name could not be read back. */
static void zone_format(uint32_t index, char *out, size_t out_size) {
    char name[IF_NAMESIZE];
    bool plain = if_indextoname(index, name) != NULL;
    for (const char *c = name; plain && *c; c++)
        plain = ascii_is_alpha(*c) || ascii_is_digit(*c) || strchr("-._", *c);
    if (plain)
        snprintf(out, out_size, "%%%s", name);
    else
        snprintf(out, out_size, "%%%u", index);
}

static int unix_format(const struct eye_addr *addr, char *buf, size_t size) {
    const char *path = addr->u.un.sun_path;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t room = addr->len > head ? MIN(addr->len - head, sizeof(addr->u.un.sun_path)) : 0;
    if (room == 0)
        return snprintf(buf, size, "unix");
    if (path[0] == '\0') {
        buf[0] = '@';
        return 1 + (int)eye_escape(path + 1, room - 1, buf + 1, size - 1);
    }
    size_t dot = path[0] == '@' || !name_is_path(path) ? 2 : 0;
    memcpy(buf, "./", dot);
    return (int)(dot + eye_escape(path, strnlen(path, room), buf + dot, size - dot));
}

/* Writes into a buffer of EYE_ADDR_TEXT_MAX; returns the length or -EAFNOSUPPORT. */
static int format(const struct eye_addr *addr, bool with_port, char *buf) {
    const size_t size = EYE_ADDR_TEXT_MAX;
    char host[INET6_ADDRSTRLEN] = "", zone[1 + MAX(IF_NAMESIZE, 10) + 1] = "", port[sizeof(":65535")] = "";
    bool brackets = false;

    switch (addr->u.sa.sa_family) {
    case AF_UNIX:
        return unix_format(addr, buf, size);
    case AF_INET:
        inet_ntop(AF_INET, &addr->u.in.sin_addr, host, sizeof(host));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, host, sizeof(host));
        if (addr->u.in6.sin6_scope_id)
            zone_format(addr->u.in6.sin6_scope_id, zone, sizeof(zone));
        brackets = with_port;
        break;
    default:
        return -EAFNOSUPPORT;
    }
    if (with_port)
        snprintf(port, sizeof(port), ":%u", (unsigned)eye_addr_port(addr));
    return snprintf(buf, size, "%s%s%s%s%s", brackets ? "[" : "", host, zone, brackets ? "]" : "", port);
}

static int format_fit(const struct eye_addr *addr, bool with_port, char *buf, size_t size) {
    char text[EYE_ADDR_TEXT_MAX];
    int len = format(addr, with_port, text);
    if (len < 0)
        return len;
    if ((size_t)len >= size)
        return -ENOSPC;
    memcpy(buf, text, (size_t)len + 1);
    return len;
}

int eye_addr_format(const struct eye_addr *addr, char *buf, size_t size) {
    return format_fit(addr, true, buf, size);
}

int eye_addr_format_host(const struct eye_addr *addr, char *buf, size_t size) {
    return format_fit(addr, false, buf, size);
}

uint16_t eye_addr_port(const struct eye_addr *addr) {
    switch (addr->u.sa.sa_family) {
    case AF_INET:
        return ntohs(addr->u.in.sin_port);
    case AF_INET6:
        return ntohs(addr->u.in6.sin6_port);
    default:
        return 0;
    }
}
