/* recipes_crypto.c: the tour's digests and ciphers: by OpenSSL, and by the kernel where it has them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sockeye/doctor.h>

#include "recipes.h"
#include "step.h"

#define SHEET_TEXT   "Python is awesome!"
#define SHEET_DIGEST "9d50bcac2d5e33f936ec2db7dc7b6579cba8e1b099d77c31d8564df46f66bdf5"

static bool text_file(const struct tour_step *step, const char *name, const char *text) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", step->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* What OpenSSL did the kernel is to do too; where it cannot, the recipe is skipped with the reason. */
static enum tour_mark by_kernel(struct tour_step *step, const char *mechanism, enum tour_mark mark) {
    struct eye_mechanism m;
    for (size_t i = 0; mark == TOUR_OK && eye_doctor(i, &m); i++) {
        if (strcmp(m.name, mechanism) == 0 && m.status != EYE_USABLE)
            return step_marked(step, TOUR_SKIPPED, "by OpenSSL only: %s", m.cause);
    }
    return mark;
}

enum tour_mark crypto_sha256(struct tour_step *step) {
    char path[160];
    snprintf(path, sizeof path, "%s/text", step->folder);
    if (!text_file(step, "text", SHEET_TEXT))
        return step_marked(step, TOUR_FAILED, "no file: %s", eye_strerror(-errno));
    enum tour_mark mark = step_shown(step, 0, WANTS(SHEET_DIGEST), SOCKEYE("hash", path));
    mark = by_kernel(step, "kernel-hash", mark);
    return mark == TOUR_OK
               ? step_shown(step, 0, WANTS(SHEET_DIGEST), SOCKEYE("hash", "--provider", "kernel", path))
               : mark;
}

/* There and back by each provider, and once across. */
static enum tour_mark ciphered(struct tour_step *step, const char *alg, const char *iv,
                               const char *mechanism) {
    static const char *const ways[][2] = {{"--provider=openssl", "--provider=openssl"},
                                          {"--provider=kernel", "--provider=kernel"},
                                          {"--provider=openssl", "--provider=kernel"}};
    char text[160], key[160], secret[160];
    enum tour_mark mark;
    snprintf(text, sizeof text, "%s/text", step->folder);
    snprintf(key, sizeof key, "%s/key", step->folder);
    snprintf(secret, sizeof secret, "%s/secret", step->folder);
    if (!text_file(step, "text", SHEET_TEXT "\n"))
        return step_marked(step, TOUR_FAILED, "no file: %s", eye_strerror(-errno));
    mark = step_shown(step, 0, WANTS(""), SOCKEYE("keygen", key));
    for (int i = 0; i < 3 && mark == TOUR_OK; i++) {
        mark = i == 1 ? by_kernel(step, mechanism, mark) : mark;
        if (mark == TOUR_OK)
            mark = step_shown(step, 0, WANTS(""),
                              SOCKEYE("cipher", "encrypt", "-a", alg, "--key-file", key, "--iv", iv,
                                      ways[i][0], text, secret));
        if (mark == TOUR_OK)
            mark = step_shown(
                step, 0, WANTS(SHEET_TEXT),
                SOCKEYE("cipher", "decrypt", "-a", alg, "--key-file", key, "--iv", iv, ways[i][1], secret));
    }
    return mark;
}

enum tour_mark crypto_cbc(struct tour_step *step) {
    return ciphered(step, "aes-256-cbc", "00112233445566778899aabbccddeeff", "kernel-cbc");
}

enum tour_mark crypto_gcm(struct tour_step *step) {
    return ciphered(step, "aes-256-gcm", "00112233445566778899aabb", "kernel-gcm");
}

enum tour_mark crypto_file(struct tour_step *step) {
    char text[160], key[160], secret[160];
    enum tour_mark mark;
    snprintf(text, sizeof text, "%s/text", step->folder);
    snprintf(key, sizeof key, "%s/key", step->folder);
    snprintf(secret, sizeof secret, "%s/secret", step->folder);
    if (!text_file(step, "text", SHEET_TEXT "\n"))
        return step_marked(step, TOUR_FAILED, "no file: %s", eye_strerror(-errno));
    mark = step_shown(step, 0, WANTS(""), SOCKEYE("keygen", key));
    if (mark == TOUR_OK)
        mark = step_shown(step, 0, WANTS(""), SOCKEYE("encrypt", "--key-file", key, text, secret));
    if (mark == TOUR_OK)
        mark = step_shown(step, 0, WANTS(SHEET_TEXT), SOCKEYE("decrypt", "--key-file", key, secret));
    mark = by_kernel(step, "kernel-gcm", mark);
    return mark == TOUR_OK ? step_shown(step, 0, WANTS(SHEET_TEXT),
                                        SOCKEYE("decrypt", "--provider", "kernel", "--key-file", key, secret))
                           : mark;
}

enum tour_mark crypto_bench(struct tour_step *step) {
    enum tour_mark mark = step_shown(step, 0, WANTS("aes-256-gcm", "openssl", "sha256"),
                                     SOCKEYE("bench", "crypto", "--duration", "20ms", "--size", "4KiB"));
    return by_kernel(step, "kernel-gcm", mark);
}
