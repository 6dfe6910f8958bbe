/* openssl_files.c: certificates and keys: those that are given, in PEM (RFC 7468), and one that is made where
 * a server has none: P-256, for this host's name and "localhost", signed by itself. Its private key is never
 * written anywhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "tls/openssl.h"

#define THROW_AWAY_DAYS 397 /* what browsers take at most; a pin outlives it */

int openssl_readable(const char *path, const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 ? 0
                   : err_set(reterr, -errno, EYE_FAIL_OTHER, "%s: %s: %s", endpoint->text, path,
                             eye_strerror(-errno));
}

/* ---- the passphrase ---- */

struct passphrase {
    const char *where; /* "file:PATH", "fd:N", "env:NAME", or NULL */
    bool asked;
    int error;
};

static int read_all(int fd, char *buf, size_t size) {
    size_t used = 0;
    while (used < size) {
        ssize_t n = read(fd, buf + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return (int)used;
}

/* pem_password_cb: the first line of what pass= names. */
static int passphrase_read(char *buf, int size, int writing, void *of) {
    struct passphrase *pass = of;
    (void)writing;
    pass->asked = true;
    if (!pass->where)
        return -1;
    const char *rest = strchr(pass->where, ':') + 1;
    int n;
    if (pass->where[0] == 'e') {
        const char *value = getenv(rest);
        n = value ? snprintf(buf, (size_t)size, "%s", value) : -ENOENT;
        n = MIN(n, size - 1);
    } else {
        bool is_fd = strncmp(pass->where, "fd:", 3) == 0;
        int fd = is_fd ? atoi(rest) : open(rest, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -errno : read_all(fd, buf, (size_t)size);
        if (fd >= 0 && !is_fd)
            close(fd);
    }
    if (n < 0) {
        pass->error = n;
        return -1;
    }
    const char *newline = memchr(buf, '\n', (size_t)n);
    return newline ? (int)(newline - buf) : n;
}

static int key_failed(const struct eye_endpoint *endpoint, const struct passphrase *pass, const char *path,
                      struct eye_err *reterr) {
    const char *text = endpoint->text;
    if (pass->error)
        return err_set(reterr, pass->error, EYE_FAIL_OTHER, "%s: pass=%s: %s", text, pass->where,
                       eye_strerror(pass->error));
    if (pass->asked && !pass->where) {
        err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: the private key in %s needs a passphrase", text,
                path);
        err_cause(reterr, "pass=file:PATH, pass=fd:N or pass=env:NAME says where it is");
        return EYE_ESYNTAX;
    }
    if (pass->asked)
        return err_set(reterr, EYE_EAUTHENTIC, EYE_FAIL_AUTHENTIC,
                       "%s: the passphrase is not the one of the key in %s", text, path);
    return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: no private key in PEM in %s", text, path);
}

/* ---- what is given ---- */

static int cert_failed(const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
        return err_set(reterr, EYE_EAUTHENTIC, EYE_FAIL_AUTHENTIC,
                       "%s: the key of a certificate in %s is too weak", endpoint->text, endpoint->tls.cert);
    case SSL_R_CA_MD_TOO_WEAK:
        return err_set(reterr, EYE_EAUTHENTIC, EYE_FAIL_AUTHENTIC,
                       "%s: a certificate in %s is signed with a digest that is too weak", endpoint->text,
                       endpoint->tls.cert);
    default:
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: no certificate in PEM in %s", endpoint->text,
                       endpoint->tls.cert);
    }
}

int openssl_own(SSL_CTX *ssl, const struct eye_endpoint *endpoint, struct eye_err *reterr) {
    const struct eye_endpoint_tls *tls = &endpoint->tls;
    const char *key_path = tls->key ? tls->key : tls->cert;
    struct passphrase pass = {.where = tls->pass};
    int r = openssl_readable(tls->cert, endpoint, reterr);
    if (r == 0)
        r = openssl_readable(key_path, endpoint, reterr);
    if (r < 0)
        return r;
    SSL_CTX_set_default_passwd_cb(ssl, passphrase_read);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &pass);
    if (SSL_CTX_use_certificate_chain_file(ssl, tls->cert) != 1)
        return cert_failed(endpoint, reterr);
    int used = SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, NULL);
    if (used != 1 && ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return err_set(reterr, EYE_EAUTHENTIC, EYE_FAIL_AUTHENTIC,
                       "%s: the private key in %s is not the certificate's", endpoint->text, key_path);
    return used == 1 ? 0 : key_failed(endpoint, &pass, key_path, reterr);
}

/* ---- what is made ---- */

static bool extension_add(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool added = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool cert_fill(X509 *cert, EVP_PKEY *key) {
    char host[65] = "", names[128];
    uint64_t serial;
    gethostname(host, sizeof host - 1);
    host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] = '\0';
    snprintf(names, sizeof names, *host ? "DNS:localhost,DNS:%s" : "DNS:localhost", host);
    X509_NAME *name = X509_get_subject_name(cert);
    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
           X509_set_version(cert, X509_VERSION_3) &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600L) &&
           X509_time_adj_ex(X509_getm_notAfter(cert), THROW_AWAY_DAYS - 1, 0, NULL) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"sockeye throw-away",
                                      -1, -1, 0) &&
           X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
           extension_add(cert, NID_subject_alt_name, names) &&
           extension_add(cert, NID_basic_constraints, "critical,CA:FALSE") &&
           extension_add(cert, NID_key_usage, "critical,digitalSignature") &&
           extension_add(cert, NID_ext_key_usage, "serverAuth") && X509_sign(cert, key, EVP_sha256()) > 0;
}

int openssl_throw_away(SSL_CTX *ssl) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool made = key && cert && cert_fill(cert, key) && SSL_CTX_use_certificate(ssl, cert) == 1 &&
                SSL_CTX_use_PrivateKey(ssl, key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    return made ? 0 : -ENOMEM;
}

bool openssl_pin(const X509 *cert, uint8_t ret_pin[32]) {
    unsigned char *der = NULL;
    int size = cert ? i2d_PUBKEY(X509_get0_pubkey(cert), &der) : -1;
    bool made = size > 0 && EVP_Digest(der, (size_t)size, ret_pin, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return made;
}
