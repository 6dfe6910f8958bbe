/* tls.h: what was agreed on a TLS stream (RFC 8446, RFC 5246), and the ciphers that there are. The options of
 * tls endpoints are in endpoint.h. */
#ifndef SOCKEYE_TLS_H
#define SOCKEYE_TLS_H

#include <stdbool.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a handshake has agreed on. */
struct eye_tls_info {
    const char *version; /* "TLSv1.3"; static, like the next one */
    const char *cipher;  /* OpenSSL's name, "TLS_AES_256_GCM_SHA384" */
    char alpn[256];      /* the protocol (RFC 7301), or "" */
    bool resumed;        /* by a ticket of an earlier connection's */
    bool verified;       /* the peer is who the options wanted: chain and name, or its pin */
    char subject[256];   /* of the peer's certificate, "CN = example.org", or "" where it gave none */
    const char *path;    /* who encrypts: "user"; static */
};

/* A cipher that can be had, as SSL_CIPHER_get_id(3) and its kin tell it. */
struct eye_tls_cipher {
    uint32_t id;          /* the number on the wire, and 0x03000000 */
    const char *name;     /* for ciphers= or suites=; static, like the next one */
    const char *protocol; /* "TLSv1.3" or "TLSv1.2" */
    char description[128];
    int strength_bits, alg_bits; /* of security, and of the algorithm's key */
};

/* Fills in cipher number index of those that a tls endpoint can use: returns 1, or 0 past the last, or where
 * this build has no TLS. */
EYE_API int eye_tls_cipher(size_t index, struct eye_tls_cipher *ret_cipher);

/* The library behind tls endpoints and its version, or NULL where this build has none. */
EYE_API const char *eye_tls_library(void);

#ifdef __cplusplus
}
#endif
#endif
