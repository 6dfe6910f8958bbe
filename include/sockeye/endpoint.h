/* endpoint.h: one text names an endpoint everywhere.
 *
 *     [SCHEME[,OPTION...]:[//]]TARGET[,OPTION[=VALUE]]...
 *
 * tcp (the default) and udp: HOST:PORT, [V6]:PORT, :PORT, and for servers PORT. unix (the default for /...,
 * ./...,
 * ../... and @...): a path or @ABSTRACT. tls: as tcp, or a path as unix. exec: a command, run by the shell.
 * stdio, or "-". fd: a number. file: a path. Options stand after the target. A path may hold commas: what
 * follows a comma there is an option when it has an option's name, and options before the colon make all that
 * follows it the path. A command is all that follows the colon. Option values, and only they, are
 * percent-decoded: %2C is a comma in one, and %3A a colon where the colon would end the options. */
#ifndef SOCKEYE_ENDPOINT_H
#define SOCKEYE_ENDPOINT_H

#include <sockeye/addr.h>

#ifdef __cplusplus
extern "C" {
#endif

enum eye_scheme {
    EYE_TCP,
    EYE_UDP,
    EYE_UNIX,
    EYE_EXEC,
    EYE_STDIO,
    EYE_FD,
    EYE_FILE,
    EYE_TLS,
    EYE_SCHEME_MAX
};

/* Which end to be, where the text says it (`dial`, `listen`). */
enum eye_role { EYE_ROLE_ANY, EYE_ROLE_DIAL, EYE_ROLE_LISTEN };

#define EYE_CIDR_MAX 32
#define EYE_PIN_MAX  8

/* What the options of a tls endpoint said; texts are owned, or NULL. */
struct eye_endpoint_tls {
    char *cert;                    /* cert=: a PEM file: the own certificate, then its issuers' */
    char *key;                     /* key=: a PEM file; NULL: the key stands in cert's */
    char *pass;                    /* pass=: where its passphrase is: "file:PATH", "fd:N" or "env:NAME" */
    char *ca;                      /* ca=: a file or folder of trusted issuers; NULL: the system's */
    char *crl;                     /* crl=: a file of revocation lists */
    char *ciphers;                 /* ciphers=: for TLS 1.2, as openssl-ciphers(1) has them */
    char *suites;                  /* suites=: for TLS 1.3 */
    char *name;                    /* name=: to verify and to send, where it is not the host dialled */
    char *alpn;                    /* alpn=: protocols, the preferred first, with ':' between (RFC 7301) */
    int version_min, version_max;  /* tls-min=, tls-max=: 12 or 13; 0 unless said */
    bool insecure;                 /* insecure: nothing is verified */
    uint8_t pins[EYE_PIN_MAX][32]; /* pin=: SHA-256 of public keys (SubjectPublicKeyInfo) */
    size_t pin_count;
};

struct eye_endpoint {
    enum eye_scheme scheme;
    enum eye_role role;
    char *text;     /* as it was given; owned, like the next three */
    char *host;     /* tcp, udp, tls: a name or literal without brackets, "" for every address */
    char *port;     /* tcp, udp, tls: a number or a service's name */
    char *path;     /* unix, tls: a path, or '@' and an abstract name; file: a path; exec: the command */
    int fd;         /* fd: the number */
    bool bare_port; /* only a port was given, which names an endpoint to servers alone */
    bool any_host;  /* no host was given, or the unspecified IPv6 address: both families */

    bool v6only;          /* v6only: no IPv4 on an IPv6 socket (IPV6_V6ONLY, ipv6(7)) */
    int family;           /* family=4|6, else 0 */
    bool reuseport;       /* reuseport: SO_REUSEPORT, socket(7) */
    bool nodelay, nagle;  /* tcp: what is small goes at once (TCP_NODELAY, tcp(7)) unless nagle is said */
    bool keepalive;       /* keepalive: SO_KEEPALIVE, socket(7) */
    int backlog;          /* backlog=, listen(2); 0: SOMAXCONN */
    int ttl;              /* udp, ttl=: IP_TTL and its kin, ip(7); 0: the system's */
    int64_t sndbuf_bytes; /* sndbuf=, rcvbuf=: SO_SNDBUF, SO_RCVBUF; 0: the system's */
    int64_t rcvbuf_bytes;
    int64_t timeout_ns;    /* timeout=: to connect and to shake hands; 10 s unless said */
    int64_t idle_ns;       /* idle=: end after so long without a byte; 0: never */
    int64_t peers_max;     /* max=: peers at once; 0: no limit */
    char *device;          /* device=IF: SO_BINDTODEVICE; owned, or NULL */
    struct eye_addr *bind; /* bind=ADDR[:PORT]: the local address to dial from; owned, or NULL */
    struct eye_cidr allow[EYE_CIDR_MAX], deny[EYE_CIDR_MAX]; /* allow=, deny=: may be said often */
    size_t allow_count, deny_count;
    int type;      /* unix, type=: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM */
    unsigned mode; /* unix, mode=: the socket file's permissions; 0600 unless said */
    bool mode_said;
    bool broadcast;        /* udp: SO_BROADCAST, socket(7) */
    bool pipes, pty;       /* exec: two pipes or a terminal in the place of a socketpair */
    bool append, create;   /* file: to write to, at its end (O_APPEND), or anew (O_CREAT, O_TRUNC) */
    struct eye_addr *join; /* udp, join=GROUP: a multicast group to receive; owned, or NULL */
    struct eye_endpoint_tls tls;
    struct eye_kept *kept;   /* the library's: what was made of a tls endpoint's options; owned, or NULL */
    struct eye_share *share; /* see eye_share; NULL unless it is one of several */
};

/* Reads an endpoint. On success the caller owns *ret_endpoint, see eye_endpoint_done. Errors:
 * EYE_ESYNTAX with the column and, where one is near, the name that was meant; -ENOMEM. */
EYE_API int eye_endpoint_parse(const char *text, struct eye_endpoint *ret_endpoint, struct eye_err *reterr);
EYE_API void eye_endpoint_done(struct eye_endpoint *endpoint);

/* Whether allow= and deny= let this address pass: deny= wins, then allow= if there is any. */
EYE_API bool eye_endpoint_admits(const struct eye_endpoint *endpoint, const struct eye_addr *addr);

/* Reads a duration ("250ms", "5s", "2m"; a bare number is an error) into nanoseconds, or a size
 * ("64k", "10M", "1G" are powers of 1000; "KiB", "MiB", "GiB" of 1024; a bare number is bytes).
 * Return 0, EYE_ESYNTAX, or -ERANGE. */
EYE_API int eye_parse_duration(const char *text, int64_t *ret_ns);
EYE_API int eye_parse_size(const char *text, int64_t *ret_bytes);

/* The options that endpoints take, one row each, for help texts and completions: returns 1 and the
 * row, or 0 past the last. The strings are static. */
struct eye_option_row {
    const char *name, *value, *help; /* value is NULL for an option that takes none */
    unsigned schemes;                /* bits: 1 << enum eye_scheme */
};
EYE_API int eye_endpoint_option(size_t index, struct eye_option_row *ret_row);

/* A scheme's name, or NULL past the last. */
EYE_API const char *eye_scheme_name(size_t scheme);

#ifdef __cplusplus
}
#endif
#endif
