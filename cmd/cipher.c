/* cipher.c: `sockeye cipher encrypt|decrypt`: one message with a key and an IV that the user gives. What did
 * not verify never reaches OUT: a file gets its name last, and what goes to a pipe is held back. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "inout.h"
#include "output.h"
#include "secret.h"

#define IV_BYTES_MAX  16
#define AAD_BYTES_MAX (1024 * 1024)

struct cipher_options {
    struct secret_options secret;
    const char *alg, *iv, *iv_file, *aad, *aad_file, *tag;
};

struct message {
    const struct cipher_options *options;
    const struct eye_cipher_alg *alg;
    enum eye_cipher_way way;
    uint8_t iv[IV_BYTES_MAX], tag[EYE_TAG_BYTES];
    uint8_t *aad;
    struct eye_cipher_io io;
};

static int usage(const char *hint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int usage(const char *hint, const char *fmt, ...) {
    char text[256];
    struct eye_err err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    usage_error(&err, hint, "%s", text);
    return report(&err);
}

/* At most size bytes of a file, into buf. Returns how many, size + 1 for more, or a negative code. */
static int64_t read_file(const char *path, uint8_t *buf, size_t size) {
    uint8_t more;
    size_t have = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (have < size && (n = TEMP_FAILURE_RETRY(read(fd, buf + have, size - have))) > 0)
        have += (size_t)n;
    if (n > 0 && (n = read(fd, &more, 1)) > 0)
        have++;
    int r = n < 0 ? -errno : 0;
    close(fd);
    return r < 0 ? r : (int64_t)have;
}

/* A file that has exactly so many bytes. Returns the exit status. */
static int read_exactly(const char *what, const char *path, uint8_t *buf, size_t size) {
    int64_t n = read_file(path, buf, size);
    if (n < 0)
        return report_code((int)n, path);
    return n == (int64_t)size
               ? STATUS_OK
               : usage(NULL, "%s: %s is a file of %zu bytes, no more and no fewer", path, what, size);
}

static int read_iv(struct message *m) {
    const char *text = m->options->iv;
    size_t size = m->alg->iv_bytes;
    if (text && m->options->iv_file)
        return usage(NULL, "--iv and --iv-file are two ways to say the same");
    if (!text && !m->options->iv_file)
        return usage(m->way == EYE_ENCRYPT ? "--iv random makes one and prints it" : NULL,
                     "an IV is needed: --iv HEX, or --iv-file FILE");
    m->io.iv = m->iv;
    if (m->options->iv_file)
        return read_exactly("the IV", m->options->iv_file, m->iv, size);
    bool random = strcmp(text, "random") == 0;
    if (random && m->way == EYE_DECRYPT)
        return usage(NULL, "--iv random is for encrypt; to decrypt takes the IV that it printed");
    if (random)
        return getrandom(m->iv, size, 0) == (ssize_t)size ? STATUS_OK : report_code(-errno, "random bytes");
    return secret_hex(text, m->iv, size)
               ? STATUS_OK
               : usage(NULL, "%s takes an IV of %zu bytes: %zu hex digits", m->alg->name, size, 2 * size);
}

static int read_aad(struct message *m) {
    const char *hex = m->options->aad, *path = m->options->aad_file;
    if (!hex && !path)
        return STATUS_OK;
    if (hex && path)
        return usage(NULL, "--aad and --aad-file are two ways to say the same");
    if (m->alg->tag_bytes == 0)
        return usage("AES-GCM and ChaCha20-Poly1305 do", "%s authenticates nothing and takes no AAD",
                     m->alg->name);
    size_t size = hex ? strlen(hex) / 2 : AAD_BYTES_MAX;
    m->io.aad = m->aad = malloc(size + 1);
    if (!m->aad)
        return report_code(-ENOMEM, "AAD");
    if (hex && !secret_hex(hex, m->aad, size))
        return usage(NULL, "--aad takes hex digits, two for each byte");
    int64_t n = hex ? (int64_t)size : read_file(path, m->aad, size);
    m->io.aad_bytes = (size_t)n;
    if (n > AAD_BYTES_MAX)
        return usage(NULL, "the AAD has more than %d bytes", AAD_BYTES_MAX);
    return n < 0 ? report_code((int)n, path) : STATUS_OK;
}

static int read_tag(struct message *m) {
    if (!m->options->tag)
        return STATUS_OK;
    if (m->alg->tag_bytes == 0)
        return usage("AES-GCM and ChaCha20-Poly1305 do", "%s has no tag", m->alg->name);
    m->io.tag = m->tag;
    return m->way == EYE_DECRYPT ? read_exactly("the tag", m->options->tag, m->tag, EYE_TAG_BYTES)
                                 : STATUS_OK;
}

static int write_tag(const struct message *m) {
    eye_newfile *file = NULL;
    int r = eye_newfile_open(AT_FDCWD, m->options->tag, 0666, 0, &file);
    if (r == 0 && write(eye_newfile_fd(file), m->tag, EYE_TAG_BYTES) != EYE_TAG_BYTES)
        r = -EIO;
    if (r == 0)
        r = eye_newfile_commit(file);
    eye_newfile_free(file);
    return r < 0 ? report_code(r, m->options->tag) : STATUS_OK;
}

/* Where the ciphertext goes elsewhere, the IV is the answer. */
static void print_iv(const struct message *m, bool to_stdout) {
    char hex[2 * IV_BYTES_MAX + 1];
    for (size_t i = 0; i < m->alg->iv_bytes; i++)
        sprintf(hex + 2 * i, "%02x", m->iv[i]);
    if (to_stdout)
        printf("%s\n", hex);
    else
        notice("iv %s", hex);
}

static int run_message(struct message *m, eye_cipher *cipher, struct arguments arguments) {
    struct inout inout;
    struct eye_err err;
    const char *in = arguments.count > 0 ? arguments.list[0] : NULL;
    const char *out = arguments.count > 1 ? arguments.list[1] : NULL;
    unsigned flags =
        (m->way == EYE_DECRYPT ? INOUT_HOLD : 0U) | (m->options->secret.common.quiet ? INOUT_QUIET : 0U);
    int status = inout_open(&inout, in, out, flags);
    if (status)
        return status;
    if (eye_cipher_run_fd(cipher, m->way, &m->io, inout.in, inout.out, inout_progress, &inout, &err) < 0)
        status = inout_report(&inout, &err);
    if (status == STATUS_OK && m->io.tag && m->way == EYE_ENCRYPT)
        status = write_tag(m);
    status = inout_close(&inout, status);
    if (status == STATUS_OK && m->options->iv && strcmp(m->options->iv, "random") == 0)
        print_iv(m, out && strcmp(out, "-") != 0);
    return status;
}

static int cipher_run(const void *options, struct arguments arguments) {
    struct message m = {.options = options};
    const char *word = arguments.list[0];
    eye_cipher *cipher = NULL;
    eye_key *key = NULL;
    struct eye_err err;
    if (strcmp(word, "encrypt") != 0 && strcmp(word, "decrypt") != 0)
        return usage("sockeye cipher encrypt [IN [OUT]], or decrypt", "'%s' is neither encrypt nor decrypt",
                     word);
    m.way = strcmp(word, "encrypt") == 0 ? EYE_ENCRYPT : EYE_DECRYPT;
    int status = secret_key(&m.options->secret, &key);
    if (status)
        return status;
    if (eye_cipher_new(m.options->alg, m.options->secret.provider, key, &cipher, &err) < 0)
        status = report(&err);
    eye_key_free(key);
    if (status)
        return status;
    m.alg = eye_cipher_alg_of(cipher);
    status = read_iv(&m);
    status = status ? status : read_aad(&m);
    status = status ? status : read_tag(&m);
    if (status == STATUS_OK)
        status = run_message(&m, cipher, (struct arguments){arguments.list + 1, arguments.count - 1});
    free(m.aad);
    eye_cipher_free(cipher);
    return status;
}

static const struct option_row option_algorithm = {
    "algorithm",
    'a',
    OPTION_STRING,
    "ALG",
    "aes-128, aes-192 or aes-256 with -cbc, -ctr or -gcm, or chacha20-poly1305; aes-256-gcm unless said",
    .offset = offsetof(struct cipher_options, alg)};
static const struct option_row option_iv = {
    "iv",
    0,
    OPTION_STRING,
    "HEX|random",
    "the IV (nonce): never one that this key has had; random makes one "
    "and prints it",
    .offset = offsetof(struct cipher_options, iv)};
static const struct option_row option_iv_file = {"iv-file",
                                                 0,
                                                 OPTION_STRING,
                                                 "FILE",
                                                 "the IV, as the bytes of a file",
                                                 .offset = offsetof(struct cipher_options, iv_file),
                                                 .completes = COMPLETE_FILE};
static const struct option_row option_aad = {"aad",
                                             0,
                                             OPTION_STRING,
                                             "HEX",
                                             "associated data: authenticated, and not in the output",
                                             .offset = offsetof(struct cipher_options, aad)};
static const struct option_row option_aad_file = {"aad-file",
                                                  0,
                                                  OPTION_STRING,
                                                  "FILE",
                                                  "the same, as the bytes of a file",
                                                  .offset = offsetof(struct cipher_options, aad_file),
                                                  .completes = COMPLETE_FILE};
static const struct option_row option_tag = {"tag",
                                             0,
                                             OPTION_STRING,
                                             "FILE",
                                             "the tag's 16 bytes apart, and not at the ciphertext's end",
                                             .offset = offsetof(struct cipher_options, tag),
                                             .completes = COMPLETE_FILE};

const struct command cipher_command = {
    .name = "cipher",
    .summary = "AES and ChaCha20-Poly1305 with a key and an IV of your own",
    .arguments = "encrypt|decrypt [IN [OUT]]",
    .about = "One message with one key and one IV, by OpenSSL or by the kernel. CBC is filled\n"
             "up by PKCS#7; the tag of GCM and ChaCha20-Poly1305 follows the ciphertext. What\n"
             "does not verify gives exit status 6 and nothing out.\n"
             "An IV that is used twice with one key gives both plaintexts away, and with GCM\n"
             "lets anybody forge messages. encrypt has no IV to get wrong: prefer it.",
    .see_also = "*sockeye-encrypt*(1), *sockeye-keygen*(1), *openssl-enc*(1)",
    .options = (const struct option_row *const[]){&option_algorithm, &option_key_file, &option_iv,
                                                  &option_iv_file, &option_aad, &option_aad_file, &option_tag,
                                                  &option_provider, &option_quiet, &option_help, NULL},
    .defaults = &(const struct cipher_options){.secret.common = COMMON_DEFAULTS, .alg = "aes-256-gcm"},
    .options_size = sizeof(struct cipher_options),
    .arguments_min = 1,
    .arguments_max = 3,
    .completes = COMPLETE_FILE,
    .run = cipher_run,
};
