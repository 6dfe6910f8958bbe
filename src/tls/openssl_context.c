/* openssl_context.c: what the options of a tls endpoint come to: an SSL_CTX. SSL_CTX_new(3)
 *
 * Versions below 1.2, compression and renegotiation are not to be had; ciphers are those with forward secrecy
 * and authenticated encryption unless ciphers= says otherwise; keys are of security level 2 at least (112
 * bits, SSL_CTX_set_security_level(3)). A client verifies chain and name, a server with ca= the chain; pin=
 * stands in for both unless ca= is said as well, and then both must hold. Names are taken from subjectAltName
 * alone (RFC 6125, 6.4.4). A server keeps no sessions: they travel in tickets (RFC 8446, 4.6.1). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/openssl.h"

#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SECURITY_LEVEL  2
#define SECURE_HEAP     (4 << 20) /* beside keys, 550 bytes of a generator of random numbers for each thread */

/* ---- protocols (RFC 7301) ---- */

static int alpn_choose(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                       const unsigned char *offered, unsigned offered_size, void *of) {
    const struct tls_context *context = of;
    unsigned char *chosen;
    (void)ssl;
    int r = SSL_select_next_proto(&chosen, ret_size, context->alpn, (unsigned)context->alpn_size, offered,
                                  offered_size);
    *ret = chosen;
    return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* "h2:http/1.1" as it goes on the wire: each name behind its length. */
static int alpn_set(struct tls_context *context, const struct eye_endpoint *endpoint,
                    struct eye_err *reterr) {
    const char *text = endpoint->tls.alpn;
    size_t used = 0;
    context->alpn = malloc(strlen(text) + 1);
    if (!context->alpn)
        return -ENOMEM;
    for (size_t size;; text += size + 1) {
        size = strcspn(text, ":");
        if (size == 0 || size > 255)
            return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: a name in alpn= is empty or too long",
                           endpoint->text);
        context->alpn[used++] = (uint8_t)size;
        memcpy(context->alpn + used, text, size);
        used += size;
        if (text[size] == '\0')
            break;
    }
    context->alpn_size = used;
    if (context->server)
        SSL_CTX_set_alpn_select_cb(context->ssl, alpn_choose, context);
    else
        SSL_CTX_set_alpn_protos(context->ssl, context->alpn, (unsigned)used); /* 0 is success */
    return 0;
}

/* ---- who is trusted ---- */

static int crl_load(struct tls_context *context, const struct eye_endpoint *endpoint,
                    struct eye_err *reterr) {
    X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    int r = openssl_readable(endpoint->tls.crl, endpoint, reterr);
    if (r < 0)
        return r;
    if (!lookup || X509_load_crl_file(lookup, endpoint->tls.crl, X509_FILETYPE_PEM) <= 0)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: crl=%s holds no revocation list in PEM",
                       endpoint->text, endpoint->tls.crl);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

static bool has_cert(const X509_STORE *store) {
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_X509)
            return true;
    return false;
}

static int ca_load(struct tls_context *context, const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    const char *ca = endpoint->tls.ca;
    struct stat st;
    int r = openssl_readable(ca, endpoint, reterr);
    if (r < 0)
        return r;
    bool folder = stat(ca, &st) == 0 && S_ISDIR(st.st_mode);
    bool loaded =
        folder ? SSL_CTX_load_verify_dir(context->ssl, ca)
               : SSL_CTX_load_verify_file(context->ssl, ca) && has_cert(SSL_CTX_get_cert_store(context->ssl));
    if (!loaded)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: ca=%s holds no certificate in PEM",
                       endpoint->text, ca);
    /* Whom the user names is trusted, whether or not others vouch for it. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(context->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    if (context->server && !folder)
        SSL_CTX_set_client_CA_list(context->ssl, SSL_load_client_CA_file(ca));
    return 0;
}

static bool is_ip(const char *name) {
    unsigned char buf[16];
    return inet_pton(AF_INET, name, buf) == 1 || inet_pton(AF_INET6, name, buf) == 1;
}

/* The name that a client is to find, and sends. */
static int name_set(struct tls_context *context, const struct eye_endpoint *endpoint,
                    struct eye_err *reterr) {
    const char *name = endpoint->tls.name ? endpoint->tls.name : endpoint->host ? endpoint->host : "";
    size_t size = strcspn(name, "%"); /* a zone is ours alone */
    if (size > 1 && name[size - 1] == '.')
        size--; /* RFC 6066, 3 */
    if (size == 0 && context->chain)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "%s: name= is missing, the name to verify the server by", endpoint->text);
    if (size == 0)
        return 0;
    context->wanted = strndup(name, size);
    if (!context->wanted)
        return -ENOMEM;
    bool ip = is_ip(context->wanted);
    if (!ip && !(context->sni = strdup(context->wanted)))
        return -ENOMEM;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (!(ip ? X509_VERIFY_PARAM_set1_ip_asc(param, context->wanted)
             : X509_VERIFY_PARAM_set1_host(param, context->wanted, 0)))
        return -ENOMEM;
    return 0;
}

static int trust_set(struct tls_context *context, const struct eye_endpoint *endpoint,
                     struct eye_err *reterr) {
    const struct eye_endpoint_tls *tls = &endpoint->tls;
    int r = 0;
    if (tls->insecure && (tls->ca || tls->pin_count || tls->crl))
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "%s: insecure does not go with ca=, crl= or pin=", endpoint->text);
    memcpy(context->pins, tls->pins, sizeof context->pins);
    context->pin_count = tls->pin_count;
    context->chain = tls->ca || (!context->server && !tls->insecure && tls->pin_count == 0);
    context->verifies = context->chain || tls->pin_count > 0;
    if (tls->crl && !context->chain)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: crl= wants ca= beside it", endpoint->text);
    if (tls->ca)
        r = ca_load(context, endpoint, reterr);
    else if (context->chain)
        SSL_CTX_set_default_verify_paths(context->ssl);
    if (r == 0 && tls->crl)
        r = crl_load(context, endpoint, reterr);
    if (r == 0 && !context->server)
        r = name_set(context, endpoint, reterr);
    SSL_CTX_set_verify(
        context->ssl, context->verifies ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
        NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, openssl_verify, context);
    return r;
}

/* ---- who we are ---- */

static int own_set(struct tls_context *context, const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    const struct eye_endpoint_tls *tls = &endpoint->tls;
    if (tls->cert)
        return openssl_own(context->ssl, endpoint, reterr);
    if (tls->key || tls->pass)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: key= and pass= want cert= beside them",
                       endpoint->text);
    context->thrown_away = context->server;
    return context->server ? openssl_throw_away(context->ssl) : 0;
}

/* ---- sessions and keys ---- */

/* A client has been given a ticket. */
static int ticket_new(SSL *ssl, SSL_SESSION *ticket) {
    struct tls_context *context = ((struct tls_session *)SSL_get_app_data(ssl))->context;
    pthread_mutex_lock(&context->lock);
    SSL_SESSION *old = context->ticket;
    context->ticket = ticket;
    pthread_mutex_unlock(&context->lock);
    SSL_SESSION_free(old);
    return 1; /* it is ours */
}

static void tickets_set(const struct tls_context *context) {
    static const unsigned char id[] = "sockeye";
    if (!context->server) {
        SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context->ssl, ticket_new);
        return;
    }
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context->ssl, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(context->ssl, 1); /* whoever resumes gets another one */
}

/* SSLKEYLOGFILE, as Wireshark reads it; one write a line, so that several processes may share the file. */
static void keylog_write(const SSL *ssl, const char *line) {
    const struct tls_context *context = ((struct tls_session *)SSL_get_app_data(ssl))->context;
    char text[512];
    int size = snprintf(text, sizeof text, "%s\n", line);
    if (size > 0 && (size_t)size < sizeof text && write(context->keylog_fd, text, (size_t)size) < 0)
        return; /* a log is no reason to end a connection */
}

static int keylog_open(struct tls_context *context, const struct eye_endpoint *endpoint,
                       struct eye_err *reterr) {
    const char *path = secure_getenv("SSLKEYLOGFILE");
    if (!path || !*path)
        return 0;
    context->keylog_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (context->keylog_fd < 0)
        return err_set(reterr, -errno, EYE_FAIL_OTHER, "%s: SSLKEYLOGFILE=%s: %s", endpoint->text, path,
                       eye_strerror(-errno));
    SSL_CTX_set_keylog_callback(context->ssl, keylog_write);
    return 0;
}

static int versions_set(const struct tls_context *context, const struct eye_endpoint *endpoint,
                        struct eye_err *reterr) {
    const struct eye_endpoint_tls *tls = &endpoint->tls;
    int min = tls->version_min ? tls->version_min : 12, max = tls->version_max ? tls->version_max : 13;
    if (tls->ciphers && !tls->suites && !tls->version_max)
        max = 12;
    if (min > max)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: tls-min=1.3 %s", endpoint->text,
                       tls->version_max ? "is above tls-max="
                                        : "and ciphers=, which are of TLS 1.2, leave no version");
    SSL_CTX_set_min_proto_version(context->ssl, min == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context->ssl, max == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    return 0;
}

/* ---- the whole ---- */

static int context_fill(struct tls_context *context, const struct eye_endpoint *endpoint,
                        struct eye_err *reterr) {
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* What is sent of a chain is what cert= holds: else each handshake would look for more of it in ca=. */
    SSL_CTX_set_mode(context->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context->ssl, 1);
    SSL_CTX_set_security_level(context->ssl, SECURITY_LEVEL);
    int r = versions_set(context, endpoint, reterr);
    if (r == 0)
        r = SSL_CTX_set_cipher_list(context->ssl, CIPHERS_DEFAULT) == 1 ? 0 : -ENOMEM;
    if (r == 0)
        r = openssl_ciphers(context->ssl, endpoint, reterr);
    if (r == 0)
        r = trust_set(context, endpoint, reterr);
    if (r == 0)
        r = own_set(context, endpoint, reterr);
    if (r == 0 && endpoint->tls.alpn)
        r = alpn_set(context, endpoint, reterr);
    if (r == 0)
        r = keylog_open(context, endpoint, reterr);
    if (r == 0)
        tickets_set(context);
    return r;
}

int openssl_context_new(const struct eye_endpoint *endpoint, bool server, struct tls_context **ret_context,
                        struct eye_err *reterr) {
    /* Private keys go to pages of their own that are not swapped and not in core dumps (MADV_DONTDUMP). */
    if (!CRYPTO_secure_malloc_initialized())
        CRYPTO_secure_malloc_init(SECURE_HEAP, 32);
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(-ENOMEM));
    *context = (struct tls_context){.ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()),
                                    .server = server,
                                    .keylog_fd = -1};
    atomic_init(&context->users, 1);
    pthread_mutex_init(&context->lock, NULL);
    int r = context->ssl ? context_fill(context, endpoint, reterr) : -ENOMEM;
    ERR_clear_error();
    if (r == -ENOMEM)
        err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(r));
    if (r < 0) {
        openssl_context_free(context);
        return r;
    }
    *ret_context = context;
    return 0;
}

void openssl_context_free(struct tls_context *context) {
    if (atomic_fetch_sub(&context->users, 1) > 1)
        return;
    SSL_SESSION_free(context->ticket);
    SSL_CTX_free(context->ssl);
    free(context->wanted);
    free(context->sni);
    free(context->alpn);
    if (context->keylog_fd >= 0)
        close(context->keylog_fd);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

int openssl_context_pin(const struct tls_context *context, char *buf, size_t size) {
    uint8_t pin[32];
    if (!context->thrown_away)
        return -ENOENT;
    if (!openssl_pin(SSL_CTX_get0_certificate(context->ssl), pin))
        return -ENOMEM;
    int used = snprintf(buf, size, "sha256:");
    for (size_t i = 0; i < sizeof pin && (size_t)used < size; i++)
        used += snprintf(buf + used, size - (size_t)used, "%02x", pin[i]);
    return 0;
}
