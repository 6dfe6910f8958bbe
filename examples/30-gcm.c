/* AES-128 as CBC and as GCM, one message each way: 30-gcm PROVIDER CIPHER TEXT.
 *
 * GCM's tag shows what was changed; CBC shows at most that its padding is no padding. The IV is random and
 * new for each message: twice the same with one key would give both texts away. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <sockeye/sockeye.h>

static int fail(const struct eye_err *err) {
    fprintf(stderr, "%s\n", err->text);
    return err->fail == EYE_FAIL_UNAVAILABLE ? 8 : err->fail == EYE_FAIL_AUTHENTIC ? 6 : 1;
}

int main(int argc, char **argv) {
    uint8_t iv[16], out[1024], back[1024];
    const char *aad = "to whom it may concern";
    struct eye_err err = {.text = "usage: 30-gcm openssl|kernel aes-128-gcm|aes-128-cbc TEXT"};
    eye_cipher *cipher = NULL;
    eye_key *key = NULL;

    if (argc < 4 || strlen(argv[3]) > 900 || getrandom(iv, sizeof iv, 0) != sizeof iv ||
        eye_key_random(16, &key) < 0 || eye_cipher_new(argv[2], argv[1], key, &cipher, &err) < 0)
        return fail(&err);
    struct eye_cipher_io io = {.iv = iv};
    if (eye_cipher_alg_of(cipher)->tag_bytes) {
        io.aad = (const uint8_t *)aad;
        io.aad_bytes = strlen(aad);
    }
    int64_t sealed = eye_cipher_run(cipher, EYE_ENCRYPT, &io, argv[3], strlen(argv[3]), out, &err);
    int64_t size =
        sealed < 0 ? -1 : eye_cipher_run(cipher, EYE_DECRYPT, &io, out, (size_t)sealed, back, &err);
    if (size < 0)
        return fail(&err);
    printf("%zu bytes of text, %lld of ciphertext\nand back: %.*s\n", strlen(argv[3]), (long long)sealed,
           (int)size, (const char *)back);

    out[0] ^= 1;
    size = eye_cipher_run(cipher, EYE_DECRYPT, &io, out, (size_t)sealed, back, &err);
    printf("one bit changed: %s\n", size < 0 ? err.text : "nothing was noticed");
    eye_cipher_free(cipher);
    eye_key_free(key);
    return 0;
}
