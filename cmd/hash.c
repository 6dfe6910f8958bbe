/* hash.c: `sockeye hash [FILE...]`: digests, in the forms that sha256sum reads and writes. */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "json.h"
#include "output.h"
#include "progress.h"

#define ALGS_MAX   16
#define READ_BYTES (256 * 1024)

struct hashing {
    const struct hash_options *options;
    const eye_key *key;
    const struct eye_hash_alg *algs[ALGS_MAX];
    eye_hash *hashes[ALGS_MAX];
    size_t count;
    struct progress progress;
};

/* ---- one file ---- */

/* The whole descriptor through every hash in one pass; a single one may take it without copying. */
static int64_t hash_all(struct hashing *h, int fd, const char *name, uint64_t size) {
    uint8_t *buf = malloc(READ_BYTES);
    int64_t done = 0, n = buf ? 1 : -ENOMEM;
    while (n > 0) {
        if (h->count == 1) {
            n = eye_hash_update_fd(h->hashes[0], fd, 4 * READ_BYTES);
        } else {
            n = read(fd, buf, READ_BYTES);
            n = n < 0 ? -errno : n;
        }
        for (size_t i = 0; n > 0 && h->count > 1 && i < h->count; i++) {
            int r = eye_hash_update(h->hashes[i], buf, (size_t)n);
            n = r < 0 ? r : n;
        }
        done += n > 0 ? n : 0;
        progress_at(&h->progress, name, (uint64_t)done, size);
    }
    free(buf);
    progress_clear(&h->progress);
    return n < 0 ? n : done;
}

struct digests {
    char hex[ALGS_MAX][2 * EYE_DIGEST_BYTES_MAX + 1];
    int64_t bytes;
};

static int hash_file(struct hashing *h, const char *name, struct digests *ret) {
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    progress_next(&h->progress, 0);
    int64_t n =
        S_ISDIR(st.st_mode) ? -EISDIR : hash_all(h, fd, name, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
    if (!is_stdin)
        close(fd);
    for (size_t i = 0; i < h->count; i++) { /* begins each anew, whatever has happened */
        uint8_t digest[EYE_DIGEST_BYTES_MAX];
        int size = eye_hash_final(h->hashes[i], digest, sizeof digest);
        if (size < 0 && n >= 0)
            n = size;
        for (int at = 0; at < size; at++)
            sprintf(ret->hex[i] + 2 * at, "%02x", digest[at]);
    }
    ret->bytes = n;
    return n < 0 ? (int)n : 0;
}

/* ---- the algorithms ---- */

static int hashing_add(struct hashing *h, const char *alg) {
    struct eye_err err;
    if (h->count == ALGS_MAX) {
        usage_error(&err, NULL, "at most %d algorithms at once", ALGS_MAX);
        return report(&err);
    }
    if (eye_hash_new(alg, h->options->secret.provider, h->key, &h->hashes[h->count], &err) < 0)
        return report(&err);
    for (size_t i = 0; (h->algs[h->count] = eye_hash_alg(i)) && strcmp(h->algs[h->count]->name, alg) != 0;
         i++)
        ;
    h->count++;
    return STATUS_OK;
}

/* A list with commas. */
static int hashing_add_all(struct hashing *h, const char *list) {
    int status = STATUS_OK;
    char *names = strdup(list), *save = NULL;
    if (!names)
        return report_code(-ENOMEM, "algorithms");
    for (char *name = strtok_r(names, ",", &save); name && !status; name = strtok_r(NULL, ",", &save))
        status = hashing_add(h, name);
    free(names);
    struct eye_err err;
    if (status == STATUS_OK && h->count == 0) {
        usage_error(&err, NULL, "no algorithm in '%s'", list);
        status = report(&err);
    }
    return status;
}

static void hashing_clear(struct hashing *h) {
    while (h->count > 0)
        eye_hash_free(h->hashes[--h->count]);
}

/* ---- digests as lines ---- */

/* As sha256sum does: a line that begins with a backslash has \\, \n and \r in its name. */
static bool needs_escape(const char *name) {
    return strpbrk(name, "\\\n\r") != NULL;
}

static void print_name(const char *name) {
    if (!needs_escape(name)) {
        fputs(name, stdout);
        return;
    }
    for (; *name; name++) {
        if (*name == '\\' || *name == '\n' || *name == '\r')
            printf("\\%c", *name == '\\' ? '\\' : *name == '\n' ? 'n' : 'r');
        else
            putchar(*name);
    }
}

static void print_lines(const struct hashing *h, const char *name, const struct digests *digests) {
    for (size_t i = 0; i < h->count; i++) {
        if (needs_escape(name))
            putchar('\\');
        if (h->count == 1) {
            printf("%s  ", digests->hex[i]);
            print_name(name);
        } else {
            for (const char *c = h->algs[i]->name; *c; c++)
                putchar(toupper((unsigned char)*c));
            fputs(" (", stdout);
            print_name(name);
            printf(") = %s", digests->hex[i]);
        }
        putchar('\n');
    }
}

static void print_json(const struct hashing *h, const char *name, const struct digests *digests) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "file", name);
    json_int(&json, "bytes", digests->bytes);
    for (size_t i = 0; i < h->count; i++)
        json_string(&json, h->algs[i]->name, digests->hex[i]);
    json_end(&json);
}

static int hash_print(struct hashing *h, const char *name) {
    struct digests digests = {0};
    int r = hash_file(h, name, &digests);
    if (r < 0)
        return report_code(r, name);
    (h->options->secret.common.json ? print_json : print_lines)(h, name, &digests);
    return STATUS_OK;
}

/* ---- checking ---- */

struct checked {
    struct hashing *h;
    size_t right, wrong, unreadable, malformed;
    const struct eye_hash_alg *guessed; /* of the last wrong line that does not name its algorithm */
};

static int check_one(void *user, const struct hash_line *line) {
    struct checked *c = user;
    struct digests digests = {0};
    char escaped[1024];
    hashing_clear(c->h);
    int status = hashing_add(c->h, line->alg);
    if (status)
        return status;
    int r = hash_file(c->h, line->name, &digests);
    if (r < 0) {
        report_code(r, line->name);
        c->unreadable++;
        return STATUS_OK;
    }
    bool right = strcasecmp(digests.hex[0], line->hex) == 0;
    *(right ? &c->right : &c->wrong) += 1;
    if (!right && line->guessed)
        c->guessed = c->h->algs[0];
    eye_escape(line->name, strlen(line->name), escaped, sizeof escaped);
    if (!right || !c->h->options->secret.common.quiet)
        printf("%s: %s\n", escaped, right ? "OK" : "FAILED");
    return STATUS_OK;
}

static int check_list(struct checked *c, const char *name) {
    FILE *list = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (!list)
        return report_code(-errno, name);
    const char *alg = c->h->options->algs; /* NULL: by the digest's length */
    int status = hash_list_read(list, alg, check_one, c, &c->malformed);
    if (ferror(list) && !status)
        status = report_code(-EIO, name);
    if (list != stdin)
        fclose(list);
    return status;
}

/* b2sum's lines are those of sha512sum, to look at. */
static int report_wrong(const struct checked *c) {
    struct eye_err err = {.fail = EYE_FAIL_AUTHENTIC, .column = EYE_NO_COLUMN};
    const struct eye_hash_alg *alg, *other = NULL;
    snprintf(err.text, sizeof err.text, "%zu of %zu digests did not match", c->wrong, c->right + c->wrong);
    for (size_t i = 0; c->guessed && (alg = eye_hash_alg(i)); i++)
        if (alg != c->guessed && alg->digest_bytes == c->guessed->digest_bytes)
            other = alg;
    if (other)
        snprintf(err.cause, sizeof err.cause,
                 "lines that do not name their algorithm were taken for %s; -a %s takes them for another's",
                 c->guessed->name, other->name);
    return report(&err);
}

static int hash_check(struct hashing *h, struct arguments arguments) {
    struct checked c = {.h = h};
    int status = STATUS_OK;
    for (size_t i = 0; i < arguments.count && status == STATUS_OK; i++)
        status = check_list(&c, arguments.list[i]);
    if (c.malformed > 0)
        notice("%zu %s no digest", c.malformed, c.malformed == 1 ? "line holds" : "lines hold");
    if (status)
        return status;
    if (c.wrong > 0)
        return report_wrong(&c);
    if (c.right == 0 && c.unreadable == 0)
        notice("there is no digest in the list");
    return c.unreadable > 0 || c.right == 0 ? STATUS_OTHER : STATUS_OK;
}

/* ---- the command ---- */

static int hash_run(const void *options, struct arguments arguments) {
    static char dash[] = "-", *only[] = {dash};
    struct hashing h = {.options = options};
    eye_key *key = NULL;
    int status = STATUS_OK;
    if (arguments.count == 0)
        arguments = (struct arguments){only, 1};
    if (h.options->secret.key_file)
        status = secret_key(&h.options->secret, &key);
    h.key = key;
    progress_begin(&h.progress, h.options->secret.common.quiet);
    if (status == STATUS_OK && h.options->check) {
        status = hash_check(&h, arguments);
    } else if (status == STATUS_OK) {
        status = hashing_add_all(&h, h.options->algs ? h.options->algs : "sha256");
        bool usable = status == STATUS_OK;
        for (size_t i = 0; usable && i < arguments.count; i++) {
            int one = hash_print(&h, arguments.list[i]);
            status = one ? one : status;
        }
    }
    hashing_clear(&h);
    eye_key_free(key);
    return status;
}

static const struct option_row option_algorithm = {"algorithm",
                                                   'a',
                                                   OPTION_STRING,
                                                   "ALG[,ALG...]",
                                                   "md5, sha1, sha224, sha256 (unless said), sha384, sha512, "
                                                   "sha3-224, sha3-256, sha3-384, sha3-512, blake2b, "
                                                   "crc32c; several in one pass",
                                                   .offset = offsetof(struct hash_options, algs)};
static const struct option_row option_check = {"check",
                                               'c',
                                               OPTION_FLAG,
                                               NULL,
                                               "read digests from each FILE and check the files they name",
                                               .offset = offsetof(struct hash_options, check)};

const struct command hash_command = {
    .name = "hash",
    .summary = "digests, by OpenSSL or by the kernel",
    .arguments = "[FILE...]",
    .about = "Prints the digest of each FILE (standard input unless said, or \"-\") as\n"
             "sha256sum does; several algorithms in one pass as lines that name them. With\n"
             "--key-file it is an HMAC. --check reads both forms: exit status 6 if a digest\n"
             "does not match. MD5 and SHA-1 are for old checksums: both can be forged.",
    .see_also = "*sockeye-keygen*(1), *sha256sum*(1)",
    .options =
        (const struct option_row *const[]){&option_algorithm, &option_check, &option_key_file,
                                           &option_provider, &option_json, &option_quiet, &option_help, NULL},
    .defaults = &(const struct hash_options){.secret.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct hash_options),
    .arguments_max = SIZE_MAX,
    .completes = COMPLETE_FILE,
    .run = hash_run,
};
