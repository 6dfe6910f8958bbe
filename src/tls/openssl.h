/* openssl.h: what the files of the OpenSSL engine share. ssl(7) */
#ifndef SOCKEYE_TLS_OPENSSL_H
#define SOCKEYE_TLS_OPENSSL_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/ssl.h>

#include "tls/tls.h"

struct tls_context {
    SSL_CTX *ssl;
    atomic_uint users; /* the endpoint, and each session */
    bool server;
    bool verifies;    /* the peer has to have a certificate */
    bool chain;       /* and a trusted issuer and the right name */
    bool thrown_away; /* a server's certificate was made for this context */
    char *wanted;     /* the name to verify, or NULL */
    char *sni;        /* a client's: the name to send, or NULL */
    uint8_t pins[EYE_PIN_MAX][32];
    size_t pin_count;
    uint8_t *alpn; /* as on the wire */
    size_t alpn_size;
    int keylog_fd;
    pthread_mutex_t lock;
    SSL_SESSION *ticket; /* a client's: of the latest session */
};

struct tls_session {
    struct tls_context *context;
    SSL *ssl;
    struct tls_io *io; /* during a call */
    int last;          /* the code that a read has met behind bytes that it gave */
    bool has_last;
    struct eye_err *what; /* what is wrong with the peer's certificate, once something is */
};

/* ---- openssl_context.c ---- */

int openssl_context_new(const struct eye_endpoint *endpoint, bool server, struct tls_context **ret_context,
                        struct eye_err *reterr);
void openssl_context_free(struct tls_context *context);
int openssl_context_pin(const struct tls_context *context, char *buf, size_t size);

/* ---- openssl_files.c ---- */

/* Gives the context the certificate and key that the endpoint names. */
int openssl_own(SSL_CTX *ssl, const struct eye_endpoint *endpoint, struct eye_err *reterr);
/* Makes a certificate for the life of this process. */
int openssl_throw_away(SSL_CTX *ssl);
/* SHA-256 of a certificate's public key. */
bool openssl_pin(const X509 *cert, uint8_t ret_pin[32]);
/* Fails with errno's words where a file cannot be read. */
int openssl_readable(const char *path, const struct eye_endpoint *endpoint, struct eye_err *reterr);

/* ---- openssl_ciphers.c ---- */

int openssl_ciphers(SSL_CTX *ssl, const struct eye_endpoint *endpoint, struct eye_err *reterr);
int openssl_cipher(size_t index, struct eye_tls_cipher *ret_cipher);

/* ---- openssl_verify.c ---- */

/* SSL_CTX_set_cert_verify_callback(3): leaves what is wrong in the session. */
int openssl_verify(X509_STORE_CTX *store, void *context);

#endif
