/* openssl_ciphers.c: the ciphers that there are, and those that the options name. openssl-ciphers(1)
 *
 * OpenSSL passes over names in a list that it does not know, so that a slip goes unseen; here each must be
 * known. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/openssl.h"

#define NAME_MAX_BYTES 64
#define NAMES_MAX      256

/* A context in which each cipher of TLS is to be had that this OpenSSL has. */
static SSL *everything(SSL_CTX **ret_ctx) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx) {
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_ciphersuites(ctx,
                                 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
                                 "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256");
        SSL_CTX_set_cipher_list(ctx, "ALL");
    }
    *ret_ctx = ctx;
    return ctx ? SSL_new(ctx) : NULL;
}

/* Fails for a name that nothing answers to. */
static int unknown(const char *name, bool suite, const struct eye_endpoint *endpoint,
                   struct eye_err *reterr) {
    const char *names[NAMES_MAX + 1];
    SSL_CTX *ctx;
    SSL *ssl = everything(&ctx);
    STACK_OF(SSL_CIPHER) *list = ssl ? SSL_get_ciphers(ssl) : NULL;
    int count = 0;
    for (int i = 0; list && i < sk_SSL_CIPHER_num(list) && count < NAMES_MAX; i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(list, i);
        if ((strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0) == suite)
            names[count++] = SSL_CIPHER_get_name(cipher);
    }
    names[count] = NULL;
    const char *near = eye_nearest(name, strlen(name), names);
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: there is no cipher '%s' in %s", endpoint->text, name,
            suite ? "TLS 1.3" : "TLS 1.2");
    if (strncmp(name, "ECDH-", 5) == 0)
        err_cause(reterr, "static ECDH is gone from OpenSSL 3; %s is the ephemeral one",
                  near ? near : "ECDHE-...");
    else if (near)
        err_cause(reterr, "did you mean '%s'?", near);
    else
        err_cause(reterr, "'sockeye doctor --json' lists them");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return EYE_ESYNTAX;
}

static int list_check(const char *list, bool suites, const struct eye_endpoint *endpoint,
                      struct eye_err *reterr) {
    char name[NAME_MAX_BYTES];
    int r = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    for (size_t size; ctx && r == 0 && *list; list += size + (list[size] != '\0')) {
        size = strcspn(list, ":, ");
        /* Operators and @STRENGTH, @SECLEVEL=N are of the whole list. */
        const char *word = list + strspn(list, suites ? "" : "!+-");
        snprintf(name, sizeof name, "%.*s", (int)(size - (size_t)(word - list)), word);
        if (!*name || *name == '@')
            continue;
        if ((suites ? SSL_CTX_set_ciphersuites : SSL_CTX_set_cipher_list)(ctx, name) != 1)
            r = unknown(name, suites, endpoint, reterr);
    }
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return r;
}

int openssl_ciphers(SSL_CTX *ssl, const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    const struct eye_endpoint_tls *tls = &endpoint->tls;
    int r = tls->ciphers ? list_check(tls->ciphers, false, endpoint, reterr) : 0;
    if (r == 0 && tls->suites)
        r = list_check(tls->suites, true, endpoint, reterr);
    if (r < 0)
        return r;
    if ((tls->ciphers && SSL_CTX_set_cipher_list(ssl, tls->ciphers) != 1) ||
        (tls->suites && SSL_CTX_set_ciphersuites(ssl, tls->suites) != 1))
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: ciphers= and suites= leave no cipher",
                       endpoint->text);
    return 0;
}

int openssl_cipher(size_t index, struct eye_tls_cipher *ret_cipher) {
    SSL_CTX *ctx;
    SSL *ssl = everything(&ctx);
    STACK_OF(SSL_CIPHER) *list = ssl ? SSL_get1_supported_ciphers(ssl) : NULL;
    const SSL_CIPHER *cipher = index < (size_t)INT32_MAX ? sk_SSL_CIPHER_value(list, (int)index) : NULL;
    if (cipher) {
        struct eye_tls_cipher told = {.id = SSL_CIPHER_get_id(cipher),
                                      .name = SSL_CIPHER_get_name(cipher),
                                      .protocol = SSL_CIPHER_get_version(cipher)};
        told.strength_bits = SSL_CIPHER_get_bits(cipher, &told.alg_bits);
        char description[256];
        SSL_CIPHER_description(cipher, description, sizeof description);
        /* Columns become single spaces. */
        size_t used = 0;
        for (const char *c = description; *c && *c != '\n' && used + 1 < sizeof told.description; c++)
            if (*c != ' ' || c[1] != ' ')
                told.description[used++] = *c;
        *ret_cipher = told;
    }
    sk_SSL_CIPHER_free(list);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return cipher != NULL;
}
