/* context.c: the one context of an endpoint, for all that use it on whatever thread. */
#include "name/kept.h"
#include "tls/tls.h"

#ifdef HAVE_OPENSSL
extern const struct tls_library tls_openssl;
const struct tls_library *const tls_library = &tls_openssl;
#else
const struct tls_library *const tls_library = NULL;
#endif

static void release(void *made) {
    tls_library->context_free(made);
}

int tls_context_of(const struct eye_endpoint *endpoint, bool server, struct tls_context **ret_context,
                   struct eye_err *reterr) {
    struct eye_kept *kept = endpoint->kept;
    if (!tls_library)
        return err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "%s: this build has no TLS library",
                       endpoint->text);
    struct tls_context *context = NULL;
    int r = 0;
    pthread_mutex_lock(&kept->lock);
    if (!kept->made[server])
        r = tls_library->context_new(endpoint, server, &context, reterr);
    if (r == 0 && !kept->made[server]) {
        kept->made[server] = context;
        kept->release = release;
    }
    context = kept->made[server];
    pthread_mutex_unlock(&kept->lock);
    if (r < 0)
        return r;
    *ret_context = context;
    return 0;
}

const char *eye_tls_library(void) {
    return tls_library ? tls_library->name : NULL;
}

int eye_tls_cipher(size_t index, struct eye_tls_cipher *ret_cipher) {
    return tls_library ? tls_library->cipher(index, ret_cipher) : 0;
}
