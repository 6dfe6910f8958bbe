/* endpoint_options.c: the options of endpoints, one table for the parser, help texts and completions.
 *
 * A row names the member of struct eye_endpoint that the option sets and the function that reads its value.
 * Values are percent-decoded (RFC 3986, 2.1), so that a comma can stand in one as %2C, and in front of the
 * colon a colon as %3A; a NUL cannot, since every value ends up in a C string or a number. Whatever is said
 * twice is refused, but for allow= and deny=, which add up. */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name/endpoint.h"

enum { VALUE_MAX = 1024 };

/* A value in its plain form, and where it stands in the text. */
struct value {
    size_t at;
    char text[VALUE_MAX];
};

struct option {
    const char *name, *value, *help;
    unsigned schemes;
    bool many; /* may be said often */
    int (*read)(const struct parse *parse, const struct option *option, const struct value *value);
    size_t member, member_count; /* where it goes, and of many, where their number is kept */
    const struct choice *choices;
};

struct choice {
    const char *name;
    int value;
};

static const struct choice families[] = {{"4", 4}, {"6", 6}, {0}};
static const struct choice versions[] = {{"1.2", 12}, {"1.3", 13}, {0}};
static const struct choice types[] = {
    {"stream", SOCK_STREAM}, {"seqpacket", SOCK_SEQPACKET}, {"dgram", SOCK_DGRAM}, {0}};

/* The member of the endpoint that a row names. */
static void *member(const struct parse *parse, size_t offset) {
    return (char *)parse->endpoint + offset;
}

static int bad_value(const struct parse *parse, const struct option *option, const struct value *value,
                     const char *takes) {
    return parse_bad(parse, value->at, "'%s' takes %s, not '%s',", option->name, takes, value->text);
}

static int read_dial(const struct parse *parse, const struct option *option, const struct value *value) {
    (void)option;
    if (parse->endpoint->role == EYE_ROLE_LISTEN)
        return parse_bad(parse, value->at, "both 'dial' and 'listen'");
    parse->endpoint->role = EYE_ROLE_DIAL;
    return 0;
}

static int read_listen(const struct parse *parse, const struct option *option, const struct value *value) {
    (void)option;
    if (parse->endpoint->role == EYE_ROLE_DIAL)
        return parse_bad(parse, value->at, "both 'dial' and 'listen'");
    parse->endpoint->role = EYE_ROLE_LISTEN;
    return 0;
}

static int read_flag(const struct parse *parse, const struct option *option, const struct value *value) {
    (void)value;
    *(bool *)member(parse, option->member) = true;
    return 0;
}

static int read_choice(const struct parse *parse, const struct option *option, const struct value *value) {
    for (const struct choice *c = option->choices; c->name; c++) {
        if (strcmp(c->name, value->text) != 0)
            continue;
        *(int *)member(parse, option->member) = c->value;
        return 0;
    }
    return bad_value(parse, option, value, option->value);
}

static int count_parse(const struct parse *parse, const struct option *option, const struct value *value,
                       int *ret_count) {
    uint64_t number;
    if (text_parse_uint(value->text, strlen(value->text), INT_MAX, &number) < 0 || number == 0)
        return bad_value(parse, option, value, "a whole number from 1 to 2147483647");
    *ret_count = (int)number;
    return 0;
}

static int read_int(const struct parse *parse, const struct option *option, const struct value *value) {
    return count_parse(parse, option, value, member(parse, option->member));
}

static int read_ttl(const struct parse *parse, const struct option *option, const struct value *value) {
    uint64_t number;
    if (text_parse_uint(value->text, strlen(value->text), 255, &number) < 0 || number == 0)
        return bad_value(parse, option, value, "a number from 1 to 255");
    *(int *)member(parse, option->member) = (int)number;
    return 0;
}

static int read_int64(const struct parse *parse, const struct option *option, const struct value *value) {
    int count = 0;
    int r = count_parse(parse, option, value, &count);
    if (r == 0)
        *(int64_t *)member(parse, option->member) = count;
    return r;
}

/* Up to what setsockopt(2) takes. */
static int read_size(const struct parse *parse, const struct option *option, const struct value *value) {
    int64_t bytes;
    if (eye_parse_size(value->text, &bytes) < 0 || bytes == 0 || bytes > INT_MAX)
        return bad_value(parse, option, value, "a size from 1 to 2147483647, such as 64k or 1MiB");
    *(int64_t *)member(parse, option->member) = bytes;
    return 0;
}

static int read_duration(const struct parse *parse, const struct option *option, const struct value *value) {
    int64_t ns;
    if (eye_parse_duration(value->text, &ns) < 0 || ns == 0)
        return bad_value(parse, option, value, "a duration above 0, such as 500ms, 5s or 2m");
    *(int64_t *)member(parse, option->member) = ns;
    return 0;
}

static int read_mode(const struct parse *parse, const struct option *option, const struct value *value) {
    size_t size = strlen(value->text);
    if (strspn(value->text, "01234567") != size || size > 4 || strtoul(value->text, NULL, 8) > 0777)
        return bad_value(parse, option, value, "an octal number up to 0777");
    *(unsigned *)member(parse, option->member) = (unsigned)strtoul(value->text, NULL, 8);
    parse->endpoint->mode_said = true;
    return 0;
}

static int read_text(const struct parse *parse, const struct option *option, const struct value *value) {
    char *copy = strdup(value->text);
    if (!copy)
        return parse_no_memory(parse);
    *(char **)member(parse, option->member) = copy;
    return 0;
}

static int read_device(const struct parse *parse, const struct option *option, const struct value *value) {
    if (strlen(value->text) >= IF_NAMESIZE)
        return bad_value(parse, option, value, "an interface's name of at most 15 bytes");
    return read_text(parse, option, value);
}

static int read_pass(const struct parse *parse, const struct option *option, const struct value *value) {
    const char *text = value->text;
    if (strncmp(text, "file:", 5) != 0 && strncmp(text, "env:", 4) != 0 &&
        (strncmp(text, "fd:", 3) != 0 || !text[3] || text[3 + strspn(text + 3, "0123456789")]))
        return bad_value(parse, option, value, option->value);
    return read_text(parse, option, value);
}

/* A digit's value in an alphabet, or -1. */
static int digit(const char *alphabet, char c) {
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

/* Reads 32 bytes written in digits of so many bits, big-endian; what is left of the last digit must be 0. */
static bool digits_read(const char *text, const char *alphabet, unsigned bits, uint8_t out[32]) {
    unsigned held = 0, held_bits = 0;
    for (size_t used = 0; *text; text++) {
        int value = digit(alphabet, *text);
        if (value < 0)
            return false;
        held = held << bits | (unsigned)value;
        held_bits += bits;
        if (held_bits < 8)
            continue;
        held_bits -= 8;
        if (used < 32)
            out[used++] = (uint8_t)(held >> held_bits);
        held &= (1U << held_bits) - 1;
    }
    return held == 0;
}

/* "sha256:" and 64 hexadecimal digits, as we print it, or base64, as curl and HPKP (RFC 7469) have it. */
static int read_pin(const struct parse *parse, const struct option *option, const struct value *value) {
    static const char takes[] = "sha256: and 64 hexadecimal digits, or the 44 characters of base64";
    struct eye_endpoint_tls *tls = &parse->endpoint->tls;
    char text[65];
    size_t size = strlen(value->text);
    if (strncmp(value->text, "sha256:", 7) != 0 || (size != 7 + 64 && size != 7 + 44))
        return bad_value(parse, option, value, takes);
    if (tls->pin_count == EYE_PIN_MAX)
        return parse_bad(parse, value->at, "'%s' more than %d times", option->name, EYE_PIN_MAX);
    bool hex = size == 7 + 64;
    snprintf(text, sizeof text, "%s", value->text + 7);
    for (char *c = text; hex && *c; c++)
        *c = ascii_lower(*c);
    if (!hex && text[43] == '=')
        text[43] = '\0';
    bool read = hex ? digits_read(text, "0123456789abcdef", 4, tls->pins[tls->pin_count])
                    : digits_read(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6,
                                  tls->pins[tls->pin_count]);
    if (!read)
        return bad_value(parse, option, value, takes);
    tls->pin_count++;
    return 0;
}

/* The reason that the value's own parser gave becomes the cause. */
static int bad_address(const struct parse *parse, const struct option *option, const struct value *value,
                       const char *takes, const struct eye_err *inner) {
    bad_value(parse, option, value, takes);
    err_cause(parse->reterr, "%s", inner->cause[0] ? inner->cause : inner->text);
    return EYE_ESYNTAX;
}

static int read_addr(const struct parse *parse, const struct option *option, const struct value *value) {
    static const char takes[] = "a numeric address, with or without a port";
    struct eye_addr addr;
    struct eye_err inner;
    if (eye_addr_parse(value->text, &addr, &inner) < 0)
        return bad_address(parse, option, value, takes, &inner);
    if (addr.u.sa.sa_family == AF_UNIX)
        return bad_value(parse, option, value, takes);
    struct eye_addr *copy = malloc(sizeof(*copy));
    if (!copy)
        return parse_no_memory(parse);
    *copy = addr;
    *(struct eye_addr **)member(parse, option->member) = copy;
    return 0;
}

static int read_group(const struct parse *parse, const struct option *option, const struct value *value) {
    int r = read_addr(parse, option, value);
    if (r < 0)
        return r;
    const struct eye_addr *addr = *(struct eye_addr **)member(parse, option->member);
    bool group = addr->u.sa.sa_family == AF_INET ? IN_MULTICAST(ntohl(addr->u.in.sin_addr.s_addr))
                                                 : IN6_IS_ADDR_MULTICAST(&addr->u.in6.sin6_addr);
    return group ? 0 : bad_value(parse, option, value, "a multicast group (224.0.0.0/4 or ff00::/8)");
}

static int read_delay(const struct parse *parse, const struct option *option, const struct value *value) {
    int r = read_flag(parse, option, value);
    const struct eye_endpoint *e = parse->endpoint;
    return r == 0 && e->nodelay && e->nagle ? parse_bad(parse, value->at, "both 'nodelay' and 'nagle'") : r;
}

/* How a command is joined to us: by a socketpair unless one of the two is said. */
static int read_join_of_child(const struct parse *parse, const struct option *option,
                              const struct value *value) {
    int r = read_flag(parse, option, value);
    const struct eye_endpoint *e = parse->endpoint;
    return r == 0 && e->pipes && e->pty ? parse_bad(parse, value->at, "both 'pipes' and 'pty'") : r;
}

static int read_cidr(const struct parse *parse, const struct option *option, const struct value *value) {
    struct eye_cidr cidr;
    struct eye_err inner;
    if (eye_cidr_parse(value->text, &cidr, &inner) < 0)
        return bad_address(parse, option, value, "an address or a block such as 192.0.2.0/24", &inner);
    size_t *count = member(parse, option->member_count);
    if (*count >= EYE_CIDR_MAX)
        return parse_bad(parse, value->at, "'%s' more than %d times", option->name, EYE_CIDR_MAX);
    ((struct eye_cidr *)member(parse, option->member))[(*count)++] = cidr;
    return 0;
}

#define TCP       (1U << EYE_TCP)
#define UDP       (1U << EYE_UDP)
#define TLS       (1U << EYE_TLS)
#define TCP_TLS   (TCP | TLS)
#define IP        (TCP | UDP | TLS)
#define UNIX      (1U << EYE_UNIX)
#define EXEC      (1U << EYE_EXEC)
#define FILES     (1U << EYE_FILE)
#define EVERY     ((1U << EYE_SCHEME_MAX) - 1)
#define TO(field) .member = offsetof(struct eye_endpoint, field)

static const struct option options[] = {
    {"dial", NULL, "connect, also where FROM would listen", IP | UNIX, .read = read_dial},
    {"listen", NULL, "listen, also where TO would be dialled", IP | UNIX, .read = read_listen},
    {"family", "4|6", "only IPv4 or only IPv6", IP, .read = read_choice, TO(family), .choices = families},
    {"v6only", NULL, "no IPv4 on an IPv6 socket", IP, .read = read_flag, TO(v6only)},
    {"bind", "ADDR[:PORT]", "the local address to dial from", IP, .read = read_addr, TO(bind)},
    {"device", "IF", "use this network interface alone", IP, .read = read_device, TO(device)},
    {"reuseport", NULL, "share the port with other listeners", IP, .read = read_flag, TO(reuseport)},
    {"backlog", "N", "connections that may wait to be accepted", TCP_TLS | UNIX, .read = read_int,
     TO(backlog)},
    {"nodelay", NULL, "send small pieces at once, as they are unless nagle is said", TCP_TLS,
     .read = read_delay, TO(nodelay)},
    {"nagle", NULL, "gather small pieces while one is under way (RFC 896)", TCP, .read = read_delay,
     TO(nagle)},
    {"keepalive", NULL, "notice peers that vanished", TCP_TLS, .read = read_flag, TO(keepalive)},
    {"sndbuf", "SIZE", "the socket's send buffer", IP | UNIX, .read = read_size, TO(sndbuf_bytes)},
    {"rcvbuf", "SIZE", "the socket's receive buffer", IP | UNIX, .read = read_size, TO(rcvbuf_bytes)},
    {"timeout", "DURATION", "to connect and to shake hands; 10s unless said", IP | UNIX,
     .read = read_duration, TO(timeout_ns)},
    {"idle", "DURATION", "end after so long without a byte", EVERY, .read = read_duration, TO(idle_ns)},
    {"max", "N", "peers at once", IP | UNIX, .read = read_int64, TO(peers_max)},
    {"allow", "CIDR", "only peers of this block; may be said often", IP, .many = true, .read = read_cidr,
     TO(allow), .member_count = offsetof(struct eye_endpoint, allow_count)},
    {"deny", "CIDR", "no peers of this block; may be said often", IP, .many = true, .read = read_cidr,
     TO(deny), .member_count = offsetof(struct eye_endpoint, deny_count)},
    {"type", "stream|seqpacket|dgram", "the kind of socket; stream unless said", UNIX, .read = read_choice,
     TO(type), .choices = types},
    {"mode", "MODE", "the socket file's permissions; 0600 unless said", UNIX | TLS, .read = read_mode,
     TO(mode)},
    {"broadcast", NULL, "send to broadcast addresses", UDP, .read = read_flag, TO(broadcast)},
    {"join", "GROUP", "receive what is sent to this multicast group", UDP, .read = read_group, TO(join)},
    {"ttl", "N", "how many routers a datagram may pass", UDP, .read = read_ttl, TO(ttl)},
    {"pipes", NULL, "two pipes in the place of a socketpair", EXEC, .read = read_join_of_child, TO(pipes)},
    {"pty", NULL, "a terminal in the place of a socketpair", EXEC, .read = read_join_of_child, TO(pty)},
    {"append", NULL, "write to the file, at its end", FILES, .read = read_flag, TO(append)},
    {"create", NULL, "write to the file, which is made or emptied first", FILES, .read = read_flag,
     TO(create)},
    {"cert", "FILE", "the own certificate and its issuers', in PEM", TLS, .read = read_text, TO(tls.cert)},
    {"key", "FILE", "its private key; in the file of cert= unless said", TLS, .read = read_text, TO(tls.key)},
    {"pass", "file:PATH|fd:N|env:NAME", "where the key's passphrase is", TLS, .read = read_pass,
     TO(tls.pass)},
    {"ca", "FILE|DIR", "trusted issuers, not the system's; a server's clients must have a certificate", TLS,
     .read = read_text, TO(tls.ca)},
    {"crl", "FILE", "lists of certificates that were revoked", TLS, .read = read_text, TO(tls.crl)},
    {"pin", "sha256:HASH", "the peer's public key, in the place of issuer and name; may be said often", TLS,
     .many = true, .read = read_pin, TO(tls.pins)},
    {"insecure", NULL, "verify nothing", TLS, .read = read_flag, TO(tls.insecure)},
    {"name", "NAME", "to send and to verify, where it is not the host that is dialled", TLS,
     .read = read_text, TO(tls.name)},
    {"alpn", "NAME[:NAME...]", "protocols to agree on, the preferred one first", TLS, .read = read_text,
     TO(tls.alpn)},
    {"tls-min", "1.2|1.3", "the lowest version; 1.2 unless said", TLS, .read = read_choice,
     TO(tls.version_min), .choices = versions},
    {"tls-max", "1.2|1.3", "the highest version; 1.3 unless said", TLS, .read = read_choice,
     TO(tls.version_max), .choices = versions},
    {"ciphers", "LIST", "for TLS 1.2, which it implies unless suites= is said", TLS, .read = read_text,
     TO(tls.ciphers)},
    {"suites", "LIST", "the ciphers of TLS 1.3", TLS, .read = read_text, TO(tls.suites)},
};

_Static_assert(ARRAY_LEN(options) <= OPTIONS_MAX, "one bit an option");

const struct option *option_find(const char *name, size_t size) {
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

int option_unknown(const struct parse *parse, size_t at) {
    const char *name = parse->text + at;
    size_t size = strcspn(name, ",=:");
    const char *names[ARRAY_LEN(options) + 1];
    size_t count = 0;
    unsigned scheme = 1U << parse->endpoint->scheme;

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].schemes & scheme)
            names[count++] = options[i].name;
    names[count] = NULL;
    if (size == 0)
        return parse_bad(parse, at, "empty option");
    parse_bad(parse, at, "unknown option '%.*s'", (int)size, name);
    const char *nearest = eye_nearest(name, size, names);
    if (nearest)
        err_cause(parse->reterr, "did you mean '%s'?", nearest);
    else if (scheme & (UNIX | FILES))
        err_cause(parse->reterr, "where a path holds commas, options stand before the colon: %s",
                  scheme == UNIX ? "unix,mode=0600:/run/a,b" : "file,append:/var/log/a,b");
    return EYE_ESYNTAX;
}

static int option_of_other_scheme(const struct parse *parse, size_t at, const struct option *option) {
    char owners[64] = "";
    size_t len = 0;
    for (unsigned s = 0, left = option->schemes; left; left &= ~(1U << s++))
        if (left & 1U << s) {
            const char *before = len == 0 ? "" : left >> s == 1 ? " and " : ", ";
            len += (size_t)snprintf(owners + len, sizeof(owners) - len, "%s%s", before, eye_scheme_name(s));
        }
    return parse_bad(parse, at, "'%s' is an option of %s endpoints", option->name, owners);
}

/* Decodes the value between two places. */
static int value_read(const struct parse *parse, size_t at, size_t end, struct value *ret_value) {
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    ret_value->at = at;
    for (size_t i = at; i < end; i++) {
        char c = parse->text[i];
        if (c == '%') {
            const char *high = i + 2 < end ? strchr(digits, ascii_lower(parse->text[i + 1])) : NULL;
            const char *low = high ? strchr(digits, ascii_lower(parse->text[i + 2])) : NULL;
            if (!low)
                return parse_bad(parse, i, "'%%' without two hexadecimal digits");
            c = (char)((high - digits) << 4 | (low - digits));
            if (c == '\0')
                return parse_bad(parse, i, "a NUL byte (%%00)");
            i += 2;
        }
        if (len + 1 >= sizeof(ret_value->text))
            return parse_bad(parse, at, "a value longer than %d bytes", VALUE_MAX - 1);
        ret_value->text[len++] = c;
    }
    ret_value->text[len] = '\0';
    return 0;
}

static int option_read(struct parse *parse, size_t at, size_t end) {
    const char *equals = memchr(parse->text + at, '=', end - at);
    size_t name_end = equals ? (size_t)(equals - parse->text) : end;
    const struct option *option = option_find(parse->text + at, name_end - at);
    struct value value = {.at = at};

    if (!option)
        return option_unknown(parse, at);
    if (!(option->schemes & 1U << parse->endpoint->scheme))
        return option_of_other_scheme(parse, at, option);
    if (equals && !option->value)
        return parse_bad(parse, name_end, "'%s' takes no value", option->name);
    if (option->value && (!equals || name_end + 1 == end))
        return parse_bad(parse, name_end, "'%s' needs a value (%s=%s)", option->name, option->name,
                         option->value);
    uint64_t bit = UINT64_C(1) << (option - options);
    if (!option->many && parse->seen & bit)
        return parse_bad(parse, at, "'%s' twice", option->name);
    parse->seen |= bit;
    parse->at[option - options] = at;
    int r = equals ? value_read(parse, name_end + 1, end, &value) : 0;
    return r < 0 ? r : option->read(parse, option, &value);
}

int options_read(struct parse *parse, size_t at, size_t end) {
    for (;;) {
        const char *comma = memchr(parse->text + at, ',', end - at);
        size_t option_end = comma ? (size_t)(comma - parse->text) : end;
        int r = option_read(parse, at, option_end);
        if (r < 0 || !comma)
            return r;
        at = option_end + 1;
    }
}

int options_check(const struct parse *parse, enum eye_scheme stands_on) {
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *option = &options[i];
        unsigned without_tls = option->schemes & ~(unsigned)TLS;
        if ((parse->seen >> i & 1) && without_tls && !(without_tls & 1U << stands_on))
            return parse_bad(parse, parse->at[i], "'%s' is for tls over %s, and this is over %s,",
                             option->name, stands_on == EYE_TCP ? "unix" : "tcp", eye_scheme_name(stands_on));
    }
    return 0;
}

int eye_endpoint_option(size_t index, struct eye_option_row *ret_row) {
    if (index >= ARRAY_LEN(options))
        return 0;
    const struct option *option = &options[index];
    *ret_row = (struct eye_option_row){option->name, option->value, option->help, option->schemes};
    return 1;
}
