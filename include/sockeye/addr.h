/* addr.h: socket addresses as values, their text, and the blocking resolver. */
#ifndef SOCKEYE_ADDR_H
#define SOCKEYE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A socket address of any family, by value. len is what bind(2) and connect(2) take. */
struct eye_addr {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage ss;
    } u;
};

/* Long enough for every text that eye_addr_format writes, with its NUL: an escaped Unix path. */
#define EYE_ADDR_TEXT_MAX 512

/* Reads a numeric address with an optional port: "192.0.2.1", "192.0.2.1:80", "2001:db8::1",
 * "[2001:db8::1]:80", "[fe80::1%lo]:80" (RFC 4007 zone: an interface's name or number), ":80"
 * (the unspecified IPv6 address), "/path", "./path", "../path", "@abstract". IPv4 is four decimal octets
 * without leading zeros (inet_pton(3)); the older forms of inet_aton(3) are the resolver's. Port 0 where
 * none is given. Errors: EYE_ESYNTAX with the column; -ENODEV for a zone that this host does not have. */
EYE_API int eye_addr_parse(const char *text, struct eye_addr *ret_addr, struct eye_err *reterr);

/* Writes an address as text, IPv6 as RFC 5952 says and bracketed where a port follows: "192.0.2.1:80",
 * "[2001:db8::1]:80", "/path", "@abstract" (escaped as eye_escape does; a path that begins otherwise gets
 * "./" in front). An unnamed Unix socket is "unix". Returns the length, or -ENOSPC when size is too small
 * (EYE_ADDR_TEXT_MAX always fits), -EAFNOSUPPORT for another family. */
EYE_API int eye_addr_format(const struct eye_addr *addr, char *buf, size_t size);

/* The same without port and brackets: "2001:db8::1%lo". */
EYE_API int eye_addr_format_host(const struct eye_addr *addr, char *buf, size_t size);

/* The port in host byte order, or 0 where the family has none. */
EYE_API uint16_t eye_addr_port(const struct eye_addr *addr);

/* A block of addresses (RFC 4632): an address and the number of leading bits that count. */
struct eye_cidr {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;   /* 0 to 32 or 128 */
    uint8_t bytes[16];
};

/* Reads "192.0.2.0/24", "2001:db8::/32" or a single address. An IPv4-mapped IPv6 block of 96 bits and
 * more becomes the IPv4 block it maps. Errors: EYE_ESYNTAX, also for host bits that are set. */
EYE_API int eye_cidr_parse(const char *text, struct eye_cidr *ret_cidr, struct eye_err *reterr);

/* Whether the block holds the address. An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) counts as the
 * IPv4 address it maps, so no rule is dodged by spelling. */
EYE_API bool eye_cidr_holds(const struct eye_cidr *cidr, const struct eye_addr *addr);

/* What eye_resolve found, in the order of RFC 6724 as getaddrinfo(3) gives it. */
struct eye_addrs {
    struct eye_addr *list; /* count of them; owned by this value, freed by eye_addrs_done */
    size_t count;
    char *canonical; /* the canonical name, or NULL where none was asked for; owned likewise */
};

struct eye_resolve_opts {
    int family;     /* 0 for any, 4 or 6 */
    int protocol;   /* IPPROTO_TCP, IPPROTO_UDP, or 0 for tcp */
    bool passive;   /* for servers: a NULL host is the unspecified address (AI_PASSIVE) */
    bool numeric;   /* literals only, no name is looked up (AI_NUMERICHOST) */
    bool canonical; /* fetch the canonical name too (AI_CANONNAME) */
};

/* Resolves host and port (a number or a service's name; NULL for 0), blocking. host may be NULL: the
 * loopback addresses, or with passive the unspecified ones. Takes every literal that getaddrinfo(3)
 * takes, inet_aton(3)'s forms included. Labels over 63 bytes and names over 253 are refused before
 * anybody is asked (RFC 1035, 2.3.4). opts may be NULL. On success the caller owns *ret_addrs.
 * Errors: EYE_EAI_BASE + EAI_...; EYE_ESYNTAX for names that cannot be; -ENOMEM. */
EYE_API int eye_resolve(const char *host, const char *port, const struct eye_resolve_opts *opts,
                        struct eye_addrs *ret_addrs, struct eye_err *reterr);
EYE_API void eye_addrs_done(struct eye_addrs *addrs);

#ifdef __cplusplus
}
#endif
#endif
