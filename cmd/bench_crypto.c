/* bench_crypto.c: `sockeye bench crypto`: the kernel's ciphers and OpenSSL's, side by side, by size. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/crypto.h>
#include <sockeye/tls.h>

#include "bench.h"
#include "output.h"
#include "plot.h"

#define ROUNDS     5 /* of a case: their median, and how far they are apart */
#define SERIES_MAX 32

static const size_t sizes[] = {64, 1024, 4096, 16384, 65536, 1048576};
#define SIZE_COUNT (sizeof sizes / sizeof sizes[0])

static const struct subject {
    const char *alg; /* of a cipher, or of a digest */
    bool digest;
} subjects[] = {{"aes-128-gcm", false}, {"aes-256-gcm", false}, {"aes-256-cbc", false}, {"sha256", true}};
#define SUBJECT_COUNT (sizeof subjects / sizeof subjects[0])

static const struct road {
    const char *provider, *name; /* how the bytes come to the one that computes */
    bool from_file;
} roads[] = {{"openssl", "memory", false}, {"kernel", "sendmsg", false}, {"kernel", "splice", true}};
#define ROAD_COUNT (sizeof roads / sizeof roads[0])

static const struct bench_column columns[] = {
    {"alg", "algorithm", 13, BENCH_TEXT},
    {"way", "way", 9, BENCH_TEXT},
    {"provider", "provider", 10, BENCH_TEXT},
    {"path", "path", 9, BENCH_TEXT},
    {"size", "bytes", 9, 0},
    {"per_s", "per s", 11, 0},
    {"mb_s", "MB/s", 9, 1},
    {"cpu_us", "CPU us each", 13, 3},
    {"spread", "spread %", 10, 1},
    {NULL, NULL, 0, 0},
};

/* One case, ready to be done again and again. */
struct job {
    const struct subject *subject;
    enum eye_cipher_way way;
    const struct road *road;
    size_t size;
    eye_hash *hash;
    eye_cipher *cipher;
    struct eye_cipher_io io;
    uint8_t *in, *out;
    size_t in_bytes;
    int file, nowhere;
};

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t job_do(struct job *job) {
    uint8_t digest[EYE_DIGEST_BYTES_MAX];
    if (job->road->from_file && lseek(job->file, 0, SEEK_SET) < 0)
        return -errno;
    if (job->hash) {
        int64_t n = job->road->from_file ? eye_hash_update_fd(job->hash, job->file, (int64_t)job->size)
                                         : eye_hash_update(job->hash, job->in, job->size);
        return n < 0 ? n : eye_hash_final(job->hash, digest, sizeof digest);
    }
    if (job->road->from_file)
        return eye_cipher_run_fd(job->cipher, job->way, &job->io, job->file, job->nowhere, NULL, NULL, NULL);
    return eye_cipher_run(job->cipher, job->way, &job->io, job->in, job->in_bytes, job->out, NULL);
}

static void job_done(struct job *job) {
    eye_hash_free(job->hash);
    eye_cipher_free(job->cipher);
    free(job->in);
    free(job->out);
    close(job->file);
    close(job->nowhere);
}

/* What is to be decrypted is made by the one that decrypts it. */
static int job_fill(struct job *job) {
    int64_t n = (int64_t)job->size;
    if (job->cipher && job->way == EYE_DECRYPT)
        n = eye_cipher_run(job->cipher, EYE_ENCRYPT, &job->io, job->in, job->size, job->in, NULL);
    job->in_bytes = (size_t)n;
    if (n < 0)
        return (int)n;
    return write(job->file, job->in, job->in_bytes) == (ssize_t)job->in_bytes ? 0 : -errno;
}

static int job_new(struct job *job, const eye_key *key, struct eye_err *reterr) {
    static const uint8_t iv[16];
    const char *provider = job->road->provider, *alg = job->subject->alg;
    int r = job->subject->digest ? eye_hash_new(alg, provider, NULL, &job->hash, reterr)
                                 : eye_cipher_new(alg, provider, key, &job->cipher, reterr);
    if (r < 0)
        return r;
    job->io = (struct eye_cipher_io){.iv = iv};
    job->in = calloc(1, job->size + 2 * EYE_TAG_BYTES);
    job->out = calloc(1, job->size + 2 * EYE_TAG_BYTES);
    job->file = memfd_create("bench", MFD_CLOEXEC);
    job->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    r = !job->in || !job->out ? -ENOMEM : job->file < 0 || job->nowhere < 0 ? -errno : job_fill(job);
    if (r < 0) {
        *reterr = (struct eye_err){.code = r, .column = EYE_NO_COLUMN};
        snprintf(reterr->text, sizeof reterr->text, "%s, %zu bytes: %s", alg, job->size, eye_strerror(r));
        job_done(job);
    }
    return r;
}

struct measured {
    double per_s, cpu_us, spread;
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(struct job *job, int64_t duration_ns, struct measured *ret) {
    double per_s[ROUNDS], cpu_us[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), began = clock_ns(CLOCK_MONOTONIC), now;
        uint64_t count = 0;
        do {
            for (int i = 0; i < 8; i++, count++) {
                int64_t n = job_do(job);
                if (n < 0)
                    return (int)n;
            }
            now = clock_ns(CLOCK_MONOTONIC);
        } while (now - began < duration_ns / ROUNDS);
        per_s[round] = (double)count * 1e9 / (double)(now - began);
        cpu_us[round] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / (double)count;
    }
    qsort(per_s, ROUNDS, sizeof per_s[0], compare);
    qsort(cpu_us, ROUNDS, sizeof cpu_us[0], compare);
    *ret = (struct measured){per_s[ROUNDS / 2], cpu_us[ROUNDS / 2],
                             (per_s[ROUNDS - 1] - per_s[0]) / per_s[ROUNDS / 2] * 100};
    return 0;
}

static const char *way_name(const struct job *job) {
    return job->subject->digest ? "digest" : job->way == EYE_ENCRYPT ? "encrypt" : "decrypt";
}

/* A message larger than the kernel takes at once is no row, and no failure. */
static int left_out(const struct job *job) {
    notice("%s, %s by %s, %s: no row for %zu bytes, which is more than it takes at once", job->subject->alg,
           way_name(job), job->road->provider, job->road->name, job->size);
    return STATUS_OK;
}

static int run_job(const struct bench_options *options, struct job *job, const eye_key *key,
                   struct plot *plot) {
    struct measured m = {0};
    struct eye_err err;
    int r = job_new(job, key, &err);
    if (r == -EMSGSIZE)
        return left_out(job);
    if (r < 0)
        return report(&err);
    r = measure(job, options->duration_ns, &m);
    job_done(job);
    if (r == -EMSGSIZE)
        return left_out(job);
    if (r < 0)
        return report_code(r, job->subject->alg);
    double mb_s = m.per_s * (double)job->size / 1e6;
    const char *way = way_name(job);
    bench_row(&bench_crypto, options,
              (const struct bench_cell[]){{.text = job->subject->alg},
                                          {.text = way},
                                          {.text = job->road->provider},
                                          {.text = job->road->name},
                                          {.number = (double)job->size},
                                          {.number = m.per_s},
                                          {.number = mb_s},
                                          {.number = m.cpu_us},
                                          {.number = m.spread}});
    if (plot)
        plot_add(plot, job->subject->alg, (size_t)(job->road - roads), way, (double)job->size, mb_s / 1e3);
    return STATUS_OK;
}

static int run_subject(const struct bench_options *options, const struct subject *subject, bool with_kernel,
                       struct plot *plot) {
    eye_key *key = NULL;
    int r = eye_key_random(subject->alg[4] == '1' ? 16 : 32, &key);
    int status = r < 0 ? report_code(r, "random bytes") : STATUS_OK;
    for (int way = EYE_ENCRYPT; way <= (subject->digest ? EYE_ENCRYPT : EYE_DECRYPT); way++) {
        for (size_t i = 0; i < SIZE_COUNT && (i == 0 || options->size_bytes == 0); i++) {
            for (size_t road = 0; road < ROAD_COUNT && !status; road++) {
                struct job job = {.subject = subject,
                                  .way = (enum eye_cipher_way)way,
                                  .road = &roads[road],
                                  .size = options->size_bytes ? (size_t)options->size_bytes : sizes[i],
                                  .file = -1,
                                  .nowhere = -1};
                if (with_kernel || strcmp(roads[road].provider, "kernel") != 0)
                    status = run_job(options, &job, key, plot);
            }
        }
    }
    eye_key_free(key);
    return status;
}

/* ---- where it was measured ---- */

static void cpu_name(char *buf, size_t size) {
    char line[256];
    FILE *info = fopen("/proc/cpuinfo", "re");
    snprintf(buf, size, "a CPU without a name");
    while (info && fgets(line, sizeof line, info)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            snprintf(buf, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (info)
        fclose(info);
}

static void machine(char *buf, size_t size) {
    struct utsname system = {0};
    char cpu[128];
    const char *openssl = eye_tls_library();
    cpu_name(cpu, sizeof cpu);
    uname(&system);
    snprintf(buf, size, "%s, Linux %s, %s, sockeye %s", cpu, system.release, openssl ? openssl : "no OpenSSL",
             SOCKEYE_VERSION);
}

/* The algorithms that are missing tell why themselves; here whether the kernel has any. */
static bool kernel_usable(void) {
    eye_hash *hash = NULL;
    struct eye_err err;
    if (eye_hash_new("sha256", "kernel", NULL, &hash, &err) == 0) {
        eye_hash_free(hash);
        return true;
    }
    notice("the kernel is not measured: %s", err.text);
    if (err.cause[0])
        fprintf(stderr, "  likely cause: %s\n", err.cause);
    return false;
}

static int run(const struct bench_options *options) {
    static const char *const names[] = {"OpenSSL", "kernel, sendmsg", "kernel, splice", NULL};
    char where[512];
    bool with_kernel = kernel_usable();
    int status = STATUS_OK;
    machine(where, sizeof where);
    notice("%s", where);
    struct plot *plot = options->plot ? plot_new("Ciphers and digests by size", where, names) : NULL;
    if (options->plot && !plot)
        return report_code(-ENOMEM, options->plot);
    for (size_t i = 0; i < SUBJECT_COUNT && status == STATUS_OK; i++)
        status = run_subject(options, &subjects[i], with_kernel, plot);
    if (plot && status == STATUS_OK) {
        int r = plot_write(plot, options->plot);
        status = r < 0 ? report_code(r, options->plot) : status;
    }
    free(plot);
    return status;
}

const struct bench_kind bench_crypto = {
    .name = "crypto",
    .summary = "ciphers and digests by OpenSSL and by the kernel, by size",
    .columns = columns,
    .plots = true,
    .run = run,
};
