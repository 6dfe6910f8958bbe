/* keygen.c: `sockeye keygen FILE`: a new key of random bytes, in a file for its owner alone. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockeye/newfile.h>

#include "commands.h"
#include "output.h"
#include "secret.h"

struct keygen_options {
    struct common common;
    const char *bits;
};

static int write_key(const char *path, const eye_key *key) {
    eye_newfile *file = NULL;
    size_t size = eye_key_size(key);
    int r = eye_newfile_open(AT_FDCWD, path, 0600, EYE_NEWFILE_EXCLUSIVE, &file);
    if (r == 0) {
        ssize_t n = write(eye_newfile_fd(file), eye_key_bytes(key), size);
        r = n < 0 ? -errno : n == (ssize_t)size ? 0 : -ENOSPC;
    }
    if (r == 0)
        r = eye_newfile_commit(file);
    eye_newfile_free(file);
    return r;
}

static int keygen_run(const void *options, struct arguments arguments) {
    const struct keygen_options *keygen = options;
    eye_key *key = NULL;
    secret_begin();
    int r = eye_key_random(strcmp(keygen->bits, "128") == 0 ? 16 : 32, &key);
    if (r < 0)
        return report_code(r, "random bytes");
    r = write_key(arguments.list[0], key);
    eye_key_free(key);
    return r < 0 ? report_code(r, arguments.list[0]) : STATUS_OK;
}

static const char *const bits_choices[] = {"128", "256", NULL};
static const struct option_row option_bits = {"bits",
                                              0,
                                              OPTION_CHOICE,
                                              "128|256",
                                              "how many bits the key has; 256 unless said",
                                              .offset = offsetof(struct keygen_options, bits),
                                              .choices = bits_choices};

const struct command keygen_command = {
    .name = "keygen",
    .summary = "makes a key file for encrypt, cipher and hash",
    .arguments = "FILE",
    .about = "Writes random bytes of the kernel's (getrandom(2)) to FILE, which only its owner\n"
             "may read (mode 0600). A FILE that exists is never overwritten: what was\n"
             "encrypted with a lost key is lost.",
    .see_also = "*sockeye-encrypt*(1), *sockeye-cipher*(1)",
    .options = (const struct option_row *const[]){&option_bits, &option_help, NULL},
    .defaults = &(const struct keygen_options){.common = COMMON_DEFAULTS, .bits = "256"},
    .options_size = sizeof(struct keygen_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = COMPLETE_FILE,
    .run = keygen_run,
};
