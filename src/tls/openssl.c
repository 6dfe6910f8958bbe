/* openssl.c: sessions on OpenSSL 3. Its view of the peer is a BIO of our own over the caller's tls_io:
 * nothing is copied that OpenSSL would not copy itself, and no call waits. BIO_meth_new(3), SSL_read(3)
 *
 * OpenSSL reads ahead: it takes what came into its record buffer whole, which it gives back as soon as it is
 * empty (SSL_MODE_RELEASE_BUFFERS), so an idle session has none. Renegotiation is refused
 * (SSL_OP_NO_RENEGOTIATION), and so is early data, which could be replayed (RFC 8446, 8). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "tls/openssl.h"

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *buf, size_t size, size_t *ret_size) {
    const struct tls_session *session = BIO_get_data(bio);
    struct tls_io *io = session->io;
    BIO_clear_retry_flags(bio);
    if (!io || io->in_size == 0) {
        if (!io || !io->in_end)
            BIO_set_retry_read(bio);
        return 0;
    }
    size = MIN(size, io->in_size);
    memcpy(buf, io->in, size);
    io->in += size;
    io->in_size -= size;
    *ret_size = size;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *ret_size) {
    const struct tls_session *session = BIO_get_data(bio);
    struct tls_io *io = session->io;
    BIO_clear_retry_flags(bio);
    size_t room = io ? io->out_room - io->out_size : 0;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    size = MIN(size, room);
    memcpy(io->out + io->out_size, data, size);
    io->out_size += size;
    *ret_size = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *of) {
    const struct tls_session *session = BIO_get_data(bio);
    (void)number, (void)of;
    switch (what) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return session->io && session->io->in_end && session->io->in_size == 0;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;

static void bio_method_make(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent bytes");
    if (!method || !BIO_meth_set_read_ex(method, bio_read) || !BIO_meth_set_write_ex(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl)) {
        BIO_meth_free(method);
        return;
    }
    bio_method = method;
}

static void bio_method_free(void) __attribute__((destructor));
static void bio_method_free(void) {
    BIO_meth_free(bio_method);
}

/* ---- sessions ---- */

static void session_free(struct tls_session *session) {
    SSL_free(session->ssl);
    openssl_context_free(session->context);
    free(session->what);
    free(session);
}

/* A ticket of TLS 1.3 is for one use (RFC 8446, C.4). */
static void session_resume(struct tls_session *session) {
    struct tls_context *context = session->context;
    pthread_mutex_lock(&context->lock);
    SSL_SESSION *ticket = context->ticket;
    if (ticket && SSL_SESSION_get_protocol_version(ticket) >= TLS1_3_VERSION)
        context->ticket = NULL;
    else if (ticket)
        SSL_SESSION_up_ref(ticket);
    pthread_mutex_unlock(&context->lock);
    if (ticket)
        SSL_set_session(session->ssl, ticket);
    SSL_SESSION_free(ticket);
}

static int session_new(struct tls_context *context, struct tls_session **ret_session) {
    static pthread_once_t made = PTHREAD_ONCE_INIT;
    pthread_once(&made, bio_method_make);
    struct tls_session *session = calloc(1, sizeof *session);
    if (!session)
        return -ENOMEM;
    session->context = context;
    atomic_fetch_add(&context->users, 1);
    session->ssl = SSL_new(context->ssl);
    BIO *bio = session->ssl && bio_method ? BIO_new(bio_method) : NULL;
    if (!bio) {
        session_free(session);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_app_data(session->ssl, session);
    if (context->server) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
        if (context->sni)
            SSL_set_tlsext_host_name(session->ssl, context->sni);
        session_resume(session);
    }
    *ret_session = session;
    return 0;
}

/* The code of a call that gave r. What OpenSSL has queued as errors is left for why, until the next call. */
static int64_t code_of(const struct tls_session *session, int r) {
    unsigned long error;
    switch (SSL_get_error(session->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        break;
    }
    error = ERR_peek_error();
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return -ENOMEM;
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
        return EYE_EALERT_BASE - (reason - SSL_AD_REASON_OFFSET);
    if (session->what || reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return EYE_EAUTHENTIC;
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return EYE_ETRUNCATED;
    return EYE_EHANDSHAKE;
}

static void call_begin(struct tls_session *session, struct tls_io *io) {
    ERR_clear_error();
    session->io = io;
}

static int handshake(struct tls_session *session, struct tls_io *io) {
    call_begin(session, io);
    int r = SSL_do_handshake(session->ssl);
    int64_t code = r == 1 ? 0 : code_of(session, r);
    session->io = NULL;
    if (code == EYE_ETRUNCATED ||
        (code == 0 && r != 1)) /* no end of a stream, and no close_notify, is a handshake */
        code = EYE_EHANDSHAKE;
    return (int)code;
}

static int64_t session_read(struct tls_session *session, struct tls_io *io, void *buf, size_t size) {
    size_t moved = 0, n;
    int r = 1;
    if (session->has_last)
        return session->last;
    call_begin(session, io);
    while (moved < size && (r = SSL_read_ex(session->ssl, (uint8_t *)buf + moved, size - moved, &n)) == 1)
        moved += n;
    int64_t code = r == 1 ? -EAGAIN : code_of(session, r);
    session->io = NULL;
    if (moved == 0)
        return code;
    session->has_last = code != -EAGAIN;
    session->last = (int)code;
    return (int64_t)moved;
}

static int64_t session_write(struct tls_session *session, struct tls_io *io, const void *buf, size_t size) {
    size_t moved = 0, n;
    int r = 1;
    call_begin(session, io);
    while (moved < size && r == 1) {
        size_t record = MIN(size - moved, (size_t)TLS_RECORD_BYTES);
        if (io->out_room - io->out_size < record + TLS_OVERHEAD_BYTES)
            break;
        r = SSL_write_ex(session->ssl, (const uint8_t *)buf + moved, record, &n);
        moved += r == 1 ? n : 0;
    }
    int64_t code = moved > 0 ? (int64_t)moved : r == 1 ? -EAGAIN : code_of(session, r);
    session->io = NULL;
    return code;
}

static int finish(struct tls_session *session, struct tls_io *io) {
    call_begin(session, io);
    int r = SSL_shutdown(session->ssl);
    int64_t code = r >= 0 ? 0 : code_of(session, r);
    session->io = NULL;
    return (int)code;
}

static bool pending(const struct tls_session *session) {
    bool first = !session->context->server && SSL_in_before(session->ssl);
    return first || session->has_last || SSL_has_pending(session->ssl);
}

static void info(const struct tls_session *session, struct eye_tls_info *ret_info) {
    const SSL *ssl = session->ssl;
    struct eye_tls_info told = {
        .version = SSL_get_version(ssl), .cipher = SSL_get_cipher_name(ssl), .path = "user"};
    const unsigned char *alpn;
    unsigned alpn_size;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    if (alpn_size > 0)
        eye_escape((const char *)alpn, alpn_size, told.alpn, sizeof told.alpn);
    told.resumed = SSL_session_reused(ssl) == 1;
    const X509 *cert = SSL_get0_peer_certificate(ssl);
    told.verified = cert && session->context->verifies;
    BIO *text = cert ? BIO_new(BIO_s_mem()) : NULL;
    if (text && X509_NAME_print_ex(text, X509_get_subject_name(cert), 0,
                                   XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) > 0) {
        char *data;
        long size = BIO_get_mem_data(text, &data);
        eye_escape(data, (size_t)size, told.subject, sizeof told.subject);
    }
    BIO_free(text);
    *ret_info = told;
}

/* What OpenSSL's reasons mean to whoever sees them. */
static const struct {
    int reason;
    const char *text, *cause;
} reasons[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "what the peer sent is no TLS", "it speaks without TLS on that port"},
    {SSL_R_HTTP_REQUEST, "what the peer sent is no TLS", "it speaks HTTP without TLS"},
    {SSL_R_HTTPS_PROXY_REQUEST, "what the peer sent is no TLS", "it speaks HTTP without TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer has no version of TLS that is allowed here",
     "tls-min= and tls-max= on either side; versions below 1.2 are not to be had"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "tls-min= and tls-max= leave no version", NULL},
    {SSL_R_NO_SHARED_CIPHER, "the peer has no cipher that is allowed here",
     "ciphers= or suites= on either side, or a certificate of a kind that the peer does not take"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer gave no certificate",
     "ca= or pin= here wants one of each client (there: cert=, key=)"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "the peer ended in the middle of its handshake", NULL},
};

static void why(const struct tls_session *session, int code, struct eye_err *reterr) {
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    enum eye_fail fail = code == EYE_EAUTHENTIC ? EYE_FAIL_AUTHENTIC
                         : code == -ENOMEM      ? EYE_FAIL_OTHER
                                                : EYE_FAIL_HANDSHAKE;
    if (session->what) {
        *reterr = *session->what;
        return;
    }
    for (size_t i = 0; reason && i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].reason != reason)
            continue;
        err_set(reterr, code, fail, "%s", reasons[i].text);
        if (reasons[i].cause)
            err_cause(reterr, "%s", reasons[i].cause);
        return;
    }
    const char *words = code == EYE_EHANDSHAKE ? ERR_reason_error_string(error) : NULL;
    if (words)
        err_set(reterr, code, fail, "the TLS handshake failed: %s", words);
    else
        err_set(reterr, code, fail, "%s", eye_strerror(code));
}

const struct tls_library tls_openssl = {
    .name = OPENSSL_VERSION_TEXT,
    .context_new = openssl_context_new,
    .context_free = openssl_context_free,
    .context_pin = openssl_context_pin,
    .session_new = session_new,
    .session_free = session_free,
    .handshake = handshake,
    .read = session_read,
    .write = session_write,
    .finish = finish,
    .pending = pending,
    .info = info,
    .why = why,
    .cipher = openssl_cipher,
};
