#include "secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

static const char *const provider_choices[] = {"openssl", "kernel", NULL};

const struct option_row option_provider = {"provider",
                                           0,
                                           OPTION_CHOICE,
                                           "openssl|kernel",
                                           "who computes: OpenSSL (unless said) or the kernel (AF_ALG)",
                                           .offset = offsetof(struct secret_options, provider),
                                           .choices = provider_choices};
const struct option_row option_key_file = {
    "key-file",
    0,
    OPTION_STRING,
    "FILE|fd:N|env:NAME",
    "the key: the bytes of a file or of a descriptor, or hex digits in the environment",
    .offset = offsetof(struct secret_options, key_file),
    .completes = COMPLETE_FILE};

void secret_begin(void) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int digit(char c) {
    const char *const digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool secret_hex(const char *text, uint8_t *ret_bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == '\0';
}

static int wrong(const char *hint, const char *what, const char *name) {
    struct eye_err err;
    usage_error(&err, hint, "%s: %s", name, what);
    return report(&err);
}

static int from_environment(const char *name, eye_key **ret_key) {
    char *text = getenv(name);
    size_t size = text ? strlen(text) / 2 : 0;
    uint8_t bytes[EYE_KEY_BYTES_MAX];
    if (!text)
        return wrong(NULL, "no such variable in the environment", name);
    if (size == 0 || size > sizeof bytes || !secret_hex(text, bytes, size))
        return wrong("the variable holds the key in hex", "not hex digits, two for each byte", name);
    int r = eye_key_new(bytes, size, ret_key);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(text, strlen(text));
    return r < 0 ? report_code(r, name) : STATUS_OK;
}

static int from_descriptor(int fd, const char *name, eye_key **ret_key) {
    int r = eye_key_read(fd, ret_key);
    if (r == -ERANGE)
        return wrong("a key has 1 to 4096 bytes; sockeye keygen makes one", "no key", name);
    return r < 0 ? report_code(r, name) : STATUS_OK;
}

static void warn_if_open(int fd, const char *name) {
    char escaped[256];
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
        return;
    eye_escape(name, strlen(name), escaped, sizeof escaped);
    notice("warning: others may read %s (mode %04o): chmod 600", escaped, (unsigned)(st.st_mode & 07777));
}

int secret_key(const struct secret_options *options, eye_key **ret_key) {
    const char *from = options->key_file;
    char *end;
    if (!from)
        return wrong("sockeye keygen makes one", "a key is needed", "--key-file");
    secret_begin();
    if (strncmp(from, "env:", 4) == 0)
        return from_environment(from + 4, ret_key);
    if (strncmp(from, "fd:", 3) == 0) {
        long fd = strtol(from + 3, &end, 10);
        if (end == from + 3 || *end || fd < 0 || fd > 0x7fffffff)
            return wrong(NULL, "no number of a descriptor", from);
        return from_descriptor((int)fd, from, ret_key);
    }
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return report_code(-errno, from);
    if (!options->common.quiet)
        warn_if_open(fd, from);
    int status = from_descriptor(fd, from, ret_key);
    close(fd);
    return status;
}
