/* SHA-256 of a file or of standard input, by OpenSSL or by the kernel (AF_ALG): 28-hash PROVIDER [FILE].
 *
 * A provider that is named is used, or the call says why not; nothing falls back in silence. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sockeye/sockeye.h>

int main(int argc, char **argv) {
    uint8_t digest[EYE_DIGEST_BYTES_MAX];
    struct eye_err err;
    eye_hash *hash;
    int fd = argc > 2 ? open(argv[2], O_RDONLY) : STDIN_FILENO;

    if (argc < 2 || fd < 0) {
        fprintf(stderr, "usage: 28-hash openssl|kernel [FILE]\n");
        return 2;
    }
    if (eye_hash_new("sha256", argv[1], NULL, &hash, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 8;
    }
    int64_t n = eye_hash_update_fd(hash, fd, -1);
    int size = n < 0 ? (int)n : eye_hash_final(hash, digest, sizeof digest);
    eye_hash_free(hash);
    if (size < 0) {
        fprintf(stderr, "%s\n", eye_strerror(size));
        return 1;
    }
    for (int i = 0; i < size; i++)
        printf("%02x", digest[i]);
    printf("\n");
    return 0;
}
