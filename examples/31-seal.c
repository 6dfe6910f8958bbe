/* A file encrypted whole, and decrypted to its end or not at all: 31-seal encrypt|decrypt KEYFILE IN OUT. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sockeye/sockeye.h>

int main(int argc, char **argv) {
    const struct eye_seal_opts opts = {.context = "an example", .context_bytes = 10, .threads = 2};
    struct eye_err err = {.text = "usage: 31-seal encrypt|decrypt KEYFILE IN OUT"};
    eye_newfile *file = NULL;
    eye_key *key = NULL;
    int status = 1;

    int key_fd = argc == 5 ? open(argv[2], O_RDONLY) : -1, in = argc == 5 ? open(argv[3], O_RDONLY) : -1;
    if (key_fd >= 0 && in >= 0 && eye_key_read(key_fd, &key) == 0 &&
        eye_newfile_open(AT_FDCWD, argv[4], 0600, 0, &file) == 0) {
        int64_t (*run)(int, int, const eye_key *, const struct eye_seal_opts *, struct eye_err *) =
            strcmp(argv[1], "encrypt") == 0 ? eye_seal_fd : eye_open_fd;
        int64_t n = run(in, eye_newfile_fd(file), key, &opts, &err);
        /* The file gets its name now, when all of it is known to be right. */
        if (n >= 0 && eye_newfile_commit(file) == 0) {
            printf("%lld bytes\n", (long long)n);
            status = 0;
        }
    }
    if (status)
        fprintf(stderr, "%s\n", err.text);
    eye_newfile_free(file);
    eye_key_free(key);
    close(key_fd);
    close(in);
    return status;
}
