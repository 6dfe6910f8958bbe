/* openssl_none.c: stands in the provider's place where the build has no OpenSSL. */
#include "crypto/provider.h"

static int unavailable(const char *alg, struct eye_err *reterr) {
    err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "%s by openssl: not available", alg);
    err_cause(reterr, "this sockeye was built without OpenSSL; there is --provider kernel");
    return EYE_EUNAVAILABLE;
}

static int hash_open(const struct hash_row *row, const eye_key *key, void **ret_state,
                     struct eye_err *reterr) {
    (void)key, (void)ret_state;
    return unavailable(row->alg.name, reterr);
}

static int cipher_open(const struct cipher_row *row, const eye_key *key, void **ret_state,
                       struct eye_err *reterr) {
    (void)key, (void)ret_state;
    return unavailable(row->alg.name, reterr);
}

const struct hash_ops crypto_openssl_hash = {.open = hash_open};
const struct cipher_ops crypto_openssl_cipher = {.open = cipher_open};
