/* openssl_verify.c: is the peer who it should be, and if not, what is wrong with its certificate, in words
 * that name the certificate, the date or the issuer. X509_verify_cert(3), RFC 5280, RFC 6125 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "tls/openssl.h"

#define WORDS_MAX 200

static void date_write(const ASN1_TIME *time, char out[WORDS_MAX]) {
    struct tm tm;
    snprintf(out, WORDS_MAX, "an unreadable date");
    if (ASN1_TIME_to_tm(time, &tm) == 1)
        strftime(out, WORDS_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

/* "CN = Example CA", or whatever there is. */
static void name_write(const X509_NAME *name, char out[WORDS_MAX]) {
    BIO *text = BIO_new(BIO_s_mem());
    char *data;
    long size = 0;
    if (text && X509_NAME_print_ex(text, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) > 0)
        size = BIO_get_mem_data(text, &data);
    snprintf(out, WORDS_MAX, "%.*s", (int)size, size > 0 ? data : "");
    if (size <= 0)
        snprintf(out, WORDS_MAX, "no name");
    BIO_free(text);
}

/* All that the certificate is for: "a.example, *.b.example, 192.0.2.1". */
static void names_write(const X509 *cert, char out[WORDS_MAX]) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && used < WORDS_MAX; i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        const char *comma = used > 0 ? ", " : "";
        if (type == GEN_DNS) {
            used += (size_t)snprintf(out + used, WORDS_MAX - used, "%s%.*s", comma, ASN1_STRING_length(value),
                                     (const char *)ASN1_STRING_get0_data(value));
        } else if (type == GEN_IPADD) {
            char text[INET6_ADDRSTRLEN] = "?";
            inet_ntop(ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text,
                      sizeof text);
            used += (size_t)snprintf(out + used, WORDS_MAX - used, "%s%s", comma, text);
        }
    }
    if (used == 0)
        snprintf(out, WORDS_MAX, "no name at all (no subjectAltName)");
    if (used >= WORDS_MAX)
        memcpy(out + WORDS_MAX - 4, "...", 4);
    GENERAL_NAMES_free(names);
}

/* ---- what is said of each kind of fault ---- */

struct fault {
    const struct tls_context *context;
    const X509 *cert; /* the one that is wrong, perhaps not the peer's but an issuer's */
    int depth;        /* 0: the peer's */
    int error;
    struct eye_err *reterr;
    const char *whose; /* "the certificate", "its issuer's certificate" */
};

static void fault_say(const struct fault *fault, const char *text) {
    err_set(fault->reterr, EYE_EAUTHENTIC, EYE_FAIL_AUTHENTIC, "%s", text);
}

static void say_dates(const struct fault *fault) {
    char date[WORDS_MAX], text[2 * WORDS_MAX];
    bool expired = fault->error == X509_V_ERR_CERT_HAS_EXPIRED;
    date_write(expired ? X509_get0_notAfter(fault->cert) : X509_get0_notBefore(fault->cert), date);
    snprintf(text, sizeof text, expired ? "%s expired on %s" : "%s is not valid before %s", fault->whose,
             date);
    fault_say(fault, text);
    err_cause(fault->reterr, "it was not renewed, or a clock is wrong");
}

static void say_names(const struct fault *fault) {
    char names[WORDS_MAX], text[3 * WORDS_MAX];
    names_write(fault->cert, names);
    snprintf(text, sizeof text, "the certificate is not for %.100s, it is for %s", fault->context->wanted,
             names);
    fault_say(fault, text);
    err_cause(fault->reterr, "another server answers there, or name= is to say what this one is called");
}

static void say_self_signed(const struct fault *fault) {
    char pin[65] = "";
    uint8_t bytes[32];
    fault_say(fault, "the certificate is self-signed: nobody vouches for it");
    if (!openssl_pin(fault->cert, bytes))
        return;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(pin + 2 * i, 3, "%02x", bytes[i]);
    err_cause(fault->reterr, "where that is the key of the peer that you mean: pin=sha256:%s", pin);
}

static void say_issuer(const struct fault *fault) {
    char issuer[WORDS_MAX], text[2 * WORDS_MAX];
    name_write(X509_get_issuer_name(fault->cert), issuer);
    snprintf(text, sizeof text, "the certificate's issuer is unknown: %s", issuer);
    fault_say(fault, text);
    err_cause(fault->reterr,
              fault->depth == 0
                  ? "ca= is to name the issuer, or the peer fails to send the certificates between"
                  : "ca= is to name the issuer");
}

static void say_purpose(const struct fault *fault) {
    fault_say(fault, fault->depth > 0 ? "an issuer's certificate is none that may issue others"
                     : fault->context->server
                         ? "the certificate is not one for clients (extended key usage)"
                         : "the certificate is not one for servers (extended key usage)");
}

static void say_weak(const struct fault *fault) {
    char text[WORDS_MAX];
    EVP_PKEY *key = X509_get0_pubkey(fault->cert);
    if (fault->error == X509_V_ERR_CA_MD_TOO_WEAK)
        snprintf(text, sizeof text, "%s is signed with a digest that is too weak", fault->whose);
    else
        snprintf(text, sizeof text, "the key of %s is too weak: %d bits", fault->whose,
                 key ? EVP_PKEY_get_bits(key) : 0);
    fault_say(fault, text);
}

static void say_revoked(const struct fault *fault) {
    char text[WORDS_MAX];
    snprintf(text, sizeof text, "%s was revoked by its issuer", fault->whose);
    fault_say(fault, text);
}

static void say_crl(const struct fault *fault) {
    char issuer[WORDS_MAX], text[3 * WORDS_MAX];
    name_write(X509_get_issuer_name(fault->cert), issuer);
    snprintf(text, sizeof text, "crl= has no revocation list of %s that is valid now: %s", issuer,
             X509_verify_cert_error_string(fault->error));
    fault_say(fault, text);
}

static void say_other(const struct fault *fault) {
    char text[WORDS_MAX];
    snprintf(text, sizeof text, "%s does not verify: %s", fault->whose,
             X509_verify_cert_error_string(fault->error));
    fault_say(fault, text);
}

static const struct {
    int error;
    void (*say)(const struct fault *fault);
} faults[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, say_dates},
    {X509_V_ERR_CERT_NOT_YET_VALID, say_dates},
    {X509_V_ERR_HOSTNAME_MISMATCH, say_names},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, say_names},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, say_self_signed},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, say_issuer},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, say_issuer},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, say_issuer},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, say_issuer},
    {X509_V_ERR_INVALID_PURPOSE, say_purpose},
    {X509_V_ERR_INVALID_CA, say_purpose},
    {X509_V_ERR_EE_KEY_TOO_SMALL, say_weak},
    {X509_V_ERR_CA_KEY_TOO_SMALL, say_weak},
    {X509_V_ERR_CA_MD_TOO_WEAK, say_weak},
    {X509_V_ERR_CERT_REVOKED, say_revoked},
    {X509_V_ERR_UNABLE_TO_GET_CRL, say_crl},
    {X509_V_ERR_CRL_HAS_EXPIRED, say_crl},
    {X509_V_ERR_CRL_NOT_YET_VALID, say_crl},
};

static void fault_tell(const struct fault *fault) {
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (faults[i].error == fault->error) {
            faults[i].say(fault);
            return;
        }
    say_other(fault);
}

static bool pinned(const struct tls_context *context, const X509 *cert) {
    uint8_t pin[32];
    if (!openssl_pin(cert, pin))
        return false;
    for (size_t i = 0; i < context->pin_count; i++)
        if (memcmp(pin, context->pins[i], sizeof pin) == 0)
            return true;
    return false;
}

/* The session's account of what is wrong; without the memory for it there are OpenSSL's few words. */
static int refuse(X509_STORE_CTX *store, const struct tls_context *context, int error) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *session = SSL_get_app_data(ssl);
    const X509 *current = X509_STORE_CTX_get_current_cert(store);
    int depth = X509_STORE_CTX_get_error_depth(store);
    struct fault fault = {.context = context,
                          .cert = current ? current : X509_STORE_CTX_get0_cert(store),
                          .depth = depth,
                          .error = error,
                          .whose = depth > 0 ? "an issuer's certificate" : "the certificate"};
    X509_STORE_CTX_set_error(store, error);
    free(session->what);
    session->what = fault.reterr = calloc(1, sizeof *session->what);
    if (!fault.reterr)
        return 0;
    if (error == X509_V_ERR_APPLICATION_VERIFICATION)
        fault_say(&fault, "the peer's public key is not the one that pin= names");
    else
        fault_tell(&fault);
    return 0;
}

int openssl_verify(X509_STORE_CTX *store, void *of) {
    const struct tls_context *context = of;
    if (context->chain && X509_verify_cert(store) != 1)
        return refuse(store, context, X509_STORE_CTX_get_error(store));
    if (context->pin_count > 0 && !pinned(context, X509_STORE_CTX_get0_cert(store)))
        return refuse(store, context, X509_V_ERR_APPLICATION_VERIFICATION);
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}
