/* dump.c: capture files to write, pcap (draft-ietf-opsawg-pcap), one or a series of them.
 *
 * pcap and not pcapng: everything reads it, and a packet costs 16 bytes. Packets gather in one buffer that is
 * written whole, so that what reaches the file ends with a whole packet; where a write fails half-way, the
 * file is cut back to where it was whole. A series' next file is opened beside the first, which needs the
 * right to write in its folder at that time: a process that gives up privileges opens the first one after it
 * has, and so learns at the start. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sockeye/capture.h>

#include "base/base.h"
#include "sys/sys.h"

enum {
    BUFFER_BYTES = 512 * 1024,
    WRITE_BYTES = 128 * 1024, /* what is written at once is still in the cache */
    FILE_HEAD = 24,
    RECORD_HEAD = 16,
    NUMBER_MAX = 12, /* the characters that a series' number adds to a path */
};
_Static_assert(BUFFER_BYTES >= FILE_HEAD + RECORD_HEAD + EYE_SNAPLEN_MAX, "any packet fits");

struct eye_dump {
    struct eye_dump_opts opts;
    int fd;
    bool given; /* standard output: not ours to close */
    int link;   /* of the present file; -1 before its first packet */
    uint32_t number;
    int64_t first_ns, bytes; /* of the present file's first packet; what was written, and what is buffered */
    size_t used;
    char *path, *name; /* as given; as opened */
    uint8_t buffer[BUFFER_BYTES];
};

static int dump_failed(const struct eye_dump *dump, int code, struct eye_err *reterr) {
    return err_set(reterr, code, EYE_FAIL_OTHER, "%s: %s", dump->given ? "standard output" : dump->name,
                   eye_strerror(code));
}

/* The name of a series' file: the number stands before the suffix of the path's last part. */
static void dump_name(const struct eye_dump *dump, uint32_t number, char *out, size_t size) {
    const char *slash = strrchr(dump->path, '/'), *dot = strrchr(dump->path, '.');
    size_t stem =
        dot && dot > (slash ? slash + 1 : dump->path) ? (size_t)(dot - dump->path) : strlen(dump->path);
    snprintf(out, size, "%.*s-%05u%s", (int)stem, dump->path, number, dump->path + stem);
}

static bool dump_rotates(const struct eye_dump *dump) {
    return dump->opts.rotate_bytes > 0 || dump->opts.rotate_ns > 0;
}

/* A series' files stand beside its path, which a folder's name would not say. */
static bool dump_is_folder(const struct eye_dump *dump) {
    struct stat st;
    size_t size = strlen(dump->path);
    return (size > 0 && dump->path[size - 1] == '/') || (stat(dump->path, &st) == 0 && S_ISDIR(st.st_mode));
}

static int dump_begin(struct eye_dump *dump, struct eye_err *reterr) {
    size_t size = strlen(dump->path) + NUMBER_MAX;
    dump->link = -1;
    dump->bytes = 0;
    dump->number++;
    snprintf(dump->name, size, "%s", dump->path);
    if (dump_rotates(dump))
        dump_name(dump, dump->number, dump->name, size);
    dump->fd = dump->given ? STDOUT_FILENO
                           : open(dump->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    return dump->fd < 0 ? dump_failed(dump, -errno, reterr) : 0;
}

int eye_dump_open(const char *path, const struct eye_dump_opts *opts, eye_dump **ret_dump,
                  struct eye_err *reterr) {
    struct eye_dump *dump = malloc(sizeof *dump);
    char *copy = strdup(path), *name = malloc(strlen(path) + NUMBER_MAX);
    int r = dump && copy && name ? 0 : -ENOMEM;
    if (r == 0) {
        memset(dump, 0, offsetof(struct eye_dump, buffer));
        dump->opts = *opts;
        dump->given = strcmp(path, "-") == 0;
        dump->path = copy;
        dump->name = name;
        if (dump_rotates(dump) && dump_is_folder(dump))
            r = err_set(reterr, -EISDIR, EYE_FAIL_OTHER, "%s: %s", path, eye_strerror(-EISDIR));
        else
            r = dump_begin(dump, reterr);
    } else {
        err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", path, eye_strerror(r));
    }
    if (r < 0) {
        free(copy);
        free(name);
        free(dump);
        return r;
    }
    *ret_dump = dump;
    return 0;
}

int eye_dump_flush(eye_dump *dump, struct eye_err *reterr) {
    size_t done = 0;
    while (done < dump->used) {
        int64_t n = sys_write(dump->fd, dump->buffer + done, dump->used - done);
        if (n == -EAGAIN) { /* somebody else's O_NONBLOCK on what we were given */
            poll(&(struct pollfd){.fd = dump->fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n < 0) {
            struct stat st;
            if (fstat(dump->fd, &st) == 0 && S_ISREG(st.st_mode) && !dump->given)
                (void)!ftruncate(dump->fd, dump->bytes - (int64_t)dump->used);
            dump->used = 0;
            return dump_failed(dump, (int)n, reterr);
        }
        done += (size_t)n;
    }
    dump->used = 0;
    return 0;
}

static void dump_put(struct eye_dump *dump, const void *bytes, size_t size) {
    memcpy(dump->buffer + dump->used, bytes, size);
    dump->used += size;
    dump->bytes += (int64_t)size;
}

static void dump_head(struct eye_dump *dump, int link) {
    const uint32_t head[] = {dump->opts.nano ? 0xa1b23c4d : 0xa1b2c3d4,
                             __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 2 | 4 << 16 : 2 << 16 | 4,
                             0,
                             0,
                             dump->opts.snaplen ? dump->opts.snaplen : EYE_SNAPLEN_MAX,
                             (uint32_t)link};
    _Static_assert(sizeof head == FILE_HEAD, "its fields");
    dump->link = link;
    dump_put(dump, head, sizeof head);
}

static int dump_end(struct eye_dump *dump, struct eye_err *reterr) {
    int r = eye_dump_flush(dump, reterr);
    if (!dump->given && close(dump->fd) < 0 && r == 0)
        r = dump_failed(dump, -errno, reterr);
    return r;
}

static int dump_next(struct eye_dump *dump, struct eye_err *reterr) {
    int r = dump_end(dump, reterr);
    dump->fd = -1;
    if (r == 0)
        r = dump_begin(dump, reterr);
    if (r == 0 && dump->opts.keep > 0 && dump->number > dump->opts.keep) {
        size_t size = strlen(dump->path) + NUMBER_MAX;
        char *old = malloc(size);
        if (!old)
            return dump_failed(dump, -ENOMEM, reterr);
        dump_name(dump, dump->number - dump->opts.keep, old, size);
        unlink(old);
        free(old);
    }
    return r;
}

static bool dump_is_full(const struct eye_dump *dump, const struct eye_packet *packet) {
    const struct eye_dump_opts *opts = &dump->opts;
    return dump->link >= 0 &&
           ((opts->rotate_bytes > 0 && dump->bytes + RECORD_HEAD + packet->caplen > opts->rotate_bytes) ||
            (opts->rotate_ns > 0 && packet->time_ns - dump->first_ns >= opts->rotate_ns));
}

int eye_dump_write(eye_dump *dump, const struct eye_packet *packet, struct eye_err *reterr) {
    int r = 0;
    assert(packet->caplen <= EYE_SNAPLEN_MAX);
    if (dump_is_full(dump, packet) && (r = dump_next(dump, reterr)) < 0)
        return r;
    bool fits = dump->used + FILE_HEAD + RECORD_HEAD + packet->caplen <= sizeof dump->buffer;
    if ((!fits || dump->used >= WRITE_BYTES) && (r = eye_dump_flush(dump, reterr)) < 0)
        return r;
    if (dump->link < 0) {
        dump_head(dump, (int)packet->link);
        dump->first_ns = packet->time_ns;
    } else if (dump->link != (int)packet->link) {
        return err_set(reterr, -EINVAL, EYE_FAIL_OTHER,
                       "%s: a pcap file holds one link type, %d here, and this packet has %u", dump->name,
                       dump->link, packet->link);
    }
    const uint32_t head[] = {(uint32_t)(packet->time_ns / NS_PER_S),
                             (uint32_t)(packet->time_ns % NS_PER_S / (dump->opts.nano ? 1 : 1000)),
                             packet->caplen, packet->len};
    dump_put(dump, head, sizeof head);
    dump_put(dump, packet->data, packet->caplen);
    return 0;
}

int eye_dump_close(eye_dump *dump, int link, struct eye_err *reterr) {
    int r = 0;
    if (dump->fd >= 0) {
        if (dump->link < 0 && link >= 0)
            dump_head(dump, link);
        r = dump_end(dump, reterr);
    }
    free(dump->path);
    free(dump->name);
    free(dump);
    return r;
}
