/* bare_evp.c: a loop of read, EVP and write and nothing else, the limit for `hash` and `encrypt`:
 * bare_evp hash|encrypt IN [OUT]. One AES-256-GCM message for the whole file, in pieces of 64 KiB. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned char buf[65536], key[32], iv[12];

static int hash(int in) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ssize_t n;
    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    while ((n = read(in, buf, sizeof buf)) > 0)
        EVP_DigestUpdate(ctx, buf, (size_t)n);
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    return n < 0 || printf("%02x\n", digest[0]) < 0;
}

static int encrypt(int in, int out) {
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    ssize_t n;
    int size, failed = 0;
    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv);
    while (!failed && (n = read(in, buf, sizeof buf)) > 0) {
        EVP_EncryptUpdate(ctx, buf, &size, buf, (int)n);
        failed = write(out, buf, (size_t)size) != size;
    }
    EVP_EncryptFinal_ex(ctx, buf, &size);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, buf);
    failed = failed || write(out, buf, 16) != 16;
    EVP_CIPHER_CTX_free(ctx);
    return failed;
}

int main(int argc, char **argv) {
    int in = argc > 2 ? open(argv[2], O_RDONLY) : -1;
    int out = argc > 3 ? open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (in >= 0 && strcmp(argv[1], "hash") == 0)
        return hash(in);
    if (in >= 0 && out >= 0 && strcmp(argv[1], "encrypt") == 0)
        return encrypt(in, out);
    fprintf(stderr, "usage: bare_evp hash|encrypt IN [OUT]\n");
    return 2;
}
