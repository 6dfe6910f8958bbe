/* seal.c: `sockeye encrypt` and `sockeye decrypt`: whole files, safe by construction
 * (c2sp.org/chunked-encryption). */
#include <stdlib.h>
#include <string.h>

#include "inout.h"
#include "output.h"
#include "secret.h"

struct seal_options {
    struct secret_options secret;
    const char *context, *range;
    int64_t threads;
    bool no_sync;
};

/* FIRST-LAST, FIRST-, both counted from 0 and both included, as curl's --range. */
static bool read_range(const char *text, struct eye_seal_opts *opts) {
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    opts->first = strtoll(text, &end, 10);
    if (*end != '-' || errno)
        return false;
    opts->last = INT64_MAX;
    text = end + 1;
    if (*text >= '0' && *text <= '9')
        opts->last = strtoll(text, &end, 10);
    else
        end = (char *)text;
    opts->range = true;
    return *end == '\0' && !errno && opts->last >= opts->first;
}

static int run(const struct seal_options *seal, struct arguments arguments,
               int64_t (*work)(int in, int out, const eye_key *key, const struct eye_seal_opts *opts,
                               struct eye_err *reterr)) {
    struct inout inout;
    struct eye_err err;
    eye_key *key = NULL;
    struct eye_seal_opts opts = {.provider = seal->secret.provider,
                                 .context = seal->context,
                                 .context_bytes = strlen(seal->context),
                                 .threads = (unsigned)(seal->threads < 256 ? seal->threads : 256),
                                 .progress = inout_progress,
                                 .user = &inout};
    if (seal->range && !read_range(seal->range, &opts)) {
        usage_error(&err, NULL, "--range takes FIRST-LAST or FIRST-, not '%s'", seal->range);
        return report(&err);
    }
    int status = secret_key(&seal->secret, &key);
    if (status)
        return status;
    status =
        inout_open(&inout, arguments.count > 0 ? arguments.list[0] : NULL,
                   arguments.count > 1 ? arguments.list[1] : NULL,
                   (seal->no_sync ? INOUT_NO_SYNC : 0U) | (seal->secret.common.quiet ? INOUT_QUIET : 0U));
    if (status == STATUS_OK) {
        if (work(inout.in, inout.out, key, &opts, &err) < 0)
            status = inout_report(&inout, &err);
        status = inout_close(&inout, status);
    }
    eye_key_free(key);
    return status;
}

static int encrypt_run(const void *options, struct arguments arguments) {
    return run(options, arguments, eye_seal_fd);
}

static int decrypt_run(const void *options, struct arguments arguments) {
    return run(options, arguments, eye_open_fd);
}

static const struct option_row option_context = {
    "context",
    0,
    OPTION_STRING,
    "TEXT",
    "what the file is for: bound in, not written into it, and needed again to decrypt",
    .offset = offsetof(struct seal_options, context)};
static const struct option_row option_threads = {"threads",
                                                 0,
                                                 OPTION_INTEGER,
                                                 "N",
                                                 "so many threads at once; 1 unless said",
                                                 .offset = offsetof(struct seal_options, threads)};
static const struct option_row option_range = {
    "range",
    0,
    OPTION_STRING,
    "FIRST-LAST|FIRST-",
    "only these bytes of the plaintext, counted from 0, both included; IN is a regular file",
    .offset = offsetof(struct seal_options, range)};

static const struct option_row option_no_sync = {
    "no-sync",
    0,
    OPTION_FLAG,
    NULL,
    "do not wait until OUT is on the disk: faster, and not safe from a loss of power",
    .offset = offsetof(struct seal_options, no_sync)};

#define DEFAULTS                                                                                             \
    &(const struct seal_options) {                                                                           \
        .secret.common = COMMON_DEFAULTS, .context = "", .threads = 1                                        \
    }

const struct command encrypt_command = {
    .name = "encrypt",
    .summary = "encrypts a file or a pipe, safe by construction",
    .arguments = "[IN [OUT]]",
    .about = "Encrypts IN into OUT (standard input and output unless said, or \"-\") as\n"
             "c2sp.org/chunked-encryption: AES-GCM in chunks of 16 KiB, AES-128 with a key of\n"
             "16 bytes and AES-256 with one of 32. There is no IV to choose and none to use\n"
             "twice. OUT appears whole or not at all.",
    .see_also = "*sockeye-decrypt*(1), *sockeye-keygen*(1), *sockeye-cipher*(1)",
    .options = (const struct option_row *const[]){&option_key_file, &option_context, &option_threads,
                                                  &option_no_sync, &option_provider, &option_quiet,
                                                  &option_help, NULL},
    .defaults = DEFAULTS,
    .options_size = sizeof(struct seal_options),
    .arguments_max = 2,
    .completes = COMPLETE_FILE,
    .run = encrypt_run,
};

const struct command decrypt_command = {
    .name = "decrypt",
    .summary = "decrypts what encrypt wrote, if not a bit of it was changed",
    .arguments = "[IN [OUT]]",
    .about = "Decrypts IN into OUT. A flipped bit, a cut, chunks that were swapped, anything\n"
             "added, another key or context: exit status 6, and no OUT. On a pipe the chunks\n"
             "that were right are out by then, so look at the status before using them.",
    .see_also = "*sockeye-encrypt*(1), *sockeye-keygen*(1)",
    .options = (const struct option_row *const[]){&option_key_file, &option_context, &option_range,
                                                  &option_threads, &option_no_sync, &option_provider,
                                                  &option_quiet, &option_help, NULL},
    .defaults = DEFAULTS,
    .options_size = sizeof(struct seal_options),
    .arguments_max = 2,
    .completes = COMPLETE_FILE,
    .run = decrypt_run,
};
