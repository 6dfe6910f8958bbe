/* source_file.c: capture files, pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).
 *
 * They are read here and not by libpcap, for three reasons: libpcap's reader takes as long per packet as all
 * that is done with it afterwards (docs/design/wire.md has the figures); it refuses pcapng files with several
 * link types or units of time; and it blocks, while a pipe here says -EAGAIN and is waited for on the loop.
 *
 * One buffer is filled by large reads; a packet lies in it and is lent from there. What has no use
 * here (options, statistics, names, unknown blocks) is skipped without being held, so nothing is
 * allocated from a length in the file but the table of interfaces, which grows by less than the file does.
 *
 * Refused: a record longer than EYE_SNAPLEN_MAX, a block shorter than its own head or whose lengths
 * contradict each other, an interface that no block has described. */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/sys.h"
#include "wire/source.h"

enum {
    BUFFER_BYTES = 1024 * 1024,
    READ_BYTES = 128 * 1024, /* what is read at once is still in the cache when it is looked at */
    FILE_HEAD = 24,
    RECORD_HEAD = 16,
    RECORD_HEAD_MODIFIED = 24,
    INTERFACES_MAX = 65536,
};

enum { BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE = 3, BLOCK_ENHANCED = 6 };
#define BLOCK_SECTION    UINT32_C(0x0a0d0d0a)
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)

struct interface {
    int link;
    uint32_t snaplen;
    uint64_t per_s; /* units of time */
    int64_t offset_s;
};

struct file {
    struct eye_source source;
    char *name; /* for messages */
    int fd;
    bool given; /* standard input: not ours to close */
    bool swapped;
    int (*record)(struct file *file, struct eye_packet *ret_packet, struct eye_err *reterr);
    size_t record_head;           /* pcap: the bytes before each packet */
    uint64_t number;              /* records read whole */
    uint64_t skip;                /* bytes still to be passed over */
    struct interface *interfaces; /* pcapng: those of the present section */
    size_t count, room;
    size_t begin, end; /* what is unread in the buffer */
    uint8_t buffer[BUFFER_BYTES];
};

static inline uint16_t get16(const struct file *file, const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return file->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t get32(const struct file *file, const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return file->swapped ? __builtin_bswap32(value) : value;
}

/* ---- the buffer ---- */

/* Makes size bytes stand at begin: 1; 0 where the file ends before; or a negative code. */
static int file_fill(struct file *file, size_t size, struct eye_err *reterr) {
    assert(size <= sizeof file->buffer);
    if (file->begin > 0) {
        memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
        file->end -= file->begin;
        file->begin = 0;
    }
    while (file->end < size) {
        if (file->source.fd >= 0 && !sys_poll_now(file->fd, POLLIN))
            return -EAGAIN;
        size_t room = sizeof file->buffer - file->end;
        int64_t n = sys_read(file->fd, file->buffer + file->end, MIN(room, READ_BYTES));
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n < 0)
            return err_set(reterr, (int)n, EYE_FAIL_OTHER, "%s: %s", file->name, eye_strerror((int)n));
        if (n == 0)
            return 0;
        file->end += (size_t)n;
    }
    return 1;
}

static inline int file_have(struct file *file, size_t size, struct eye_err *reterr) {
    return file->end - file->begin >= size ? 1 : file_fill(file, size, reterr);
}

static int file_cut(const struct file *file, struct eye_err *reterr) {
    return err_set(reterr, EYE_ETRUNCATED, EYE_FAIL_TRUNCATED, "%s: cut off inside record %llu", file->name,
                   (unsigned long long)file->number + 1);
}

static int file_malformed(const struct file *file, struct eye_err *reterr, const char *what, uint64_t value) {
    return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: record %llu is malformed: %s %llu", file->name,
                   (unsigned long long)file->number + 1, what, (unsigned long long)value);
}

/* What is to be had of a record that has begun; the end of the file in it is a cut. */
static inline int file_rest(struct file *file, size_t size, struct eye_err *reterr) {
    int r = file_have(file, size, reterr);
    return r == 0 ? file_cut(file, reterr) : r;
}

/* Passes over what is marked to be: 1, or a negative code. */
static int file_skip(struct file *file, struct eye_err *reterr) {
    while (file->skip > 0) {
        if (file->end == file->begin) {
            int r = file_rest(file, 1, reterr);
            if (r < 0)
                return r;
        }
        size_t n = (size_t)MIN(file->skip, file->end - file->begin);
        file->begin += n;
        file->skip -= n;
    }
    return 1;
}

/* ---- pcap ---- */

static int pcap_record(struct file *file, struct eye_packet *ret_packet, struct eye_err *reterr) {
    int r = file_have(file, file->record_head, reterr);
    if (r <= 0)
        return r == 0 && file->end > file->begin ? file_cut(file, reterr) : r;
    uint32_t caplen = get32(file, file->buffer + file->begin + 8);
    if (caplen > EYE_SNAPLEN_MAX)
        return file_malformed(file, reterr, "a packet's length is", caplen);
    if ((r = file_rest(file, file->record_head + caplen, reterr)) < 0)
        return r;
    const uint8_t *head = file->buffer + file->begin;
    int64_t fraction = get32(file, head + 4);
    uint32_t len = get32(file, head + 12);
    *ret_packet = (struct eye_packet){
        .time_ns = get32(file, head) * NS_PER_S + (file->source.nano ? fraction : fraction * 1000),
        .link = (uint32_t)file->source.link,
        .caplen = caplen,
        .len = MAX(len, caplen),
        .data = head + file->record_head,
    };
    file->begin += file->record_head + caplen;
    file->number++;
    return 1;
}

static int pcap_head(struct file *file, bool nano, size_t record_head, struct eye_err *reterr) {
    const uint8_t *head = file->buffer + file->begin;
    if (get16(file, head + 4) != 2)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: pcap of version %u, not 2", file->name,
                       get16(file, head + 4));
    file->source.nano = nano;
    /* Above the link type's 16 bits stands the length of a frame check sequence. */
    file->source.link = get16(file, head + (file->swapped == (__BYTE_ORDER == __LITTLE_ENDIAN) ? 22 : 20));
    file->record = pcap_record;
    file->record_head = record_head;
    file->begin += FILE_HEAD;
    return 1;
}

/* ---- pcapng ---- */

static int64_t unit_time(const struct interface *interface, uint64_t units) {
    unsigned __int128 ns = interface->per_s == 1000000
                               ? (unsigned __int128)units * 1000
                               : (unsigned __int128)units * NS_PER_S / interface->per_s;
    __int128 sum = (__int128)MIN(ns, (unsigned __int128)INT64_MAX) + (__int128)interface->offset_s * NS_PER_S;
    return (int64_t)MAX(MIN(sum, (__int128)INT64_MAX), (__int128)INT64_MIN);
}

/* if_tsresol: a power of ten, or of two where the topmost bit is set. */
static bool unit_read(uint8_t resolution, uint64_t *ret_per_s) {
    uint64_t per_s = 1;
    if (resolution & 0x80) {
        if ((resolution & 0x7f) > 63)
            return false;
        *ret_per_s = UINT64_C(1) << (resolution & 0x7f);
        return true;
    }
    for (; resolution > 0; resolution--)
        if (__builtin_mul_overflow(per_s, 10, &per_s))
            return false;
    *ret_per_s = per_s;
    return true;
}

/* An interface description block: 8 bytes, then options as code, length and padded value. */
static int block_interface(struct file *file, const uint8_t *block, size_t size, struct eye_err *reterr) {
    enum { TSRESOL = 9, TSOFFSET = 14 };
    if (size < 8)
        return file_malformed(file, reterr, "a block's length is", size);
    struct interface interface = {
        .link = get16(file, block), .snaplen = get32(file, block + 4), .per_s = 1000000};
    for (size_t at = 8; size - at >= 4;) {
        unsigned code = get16(file, block + at), len = get16(file, block + at + 2);
        at += 4;
        if (len > size - at)
            return file_malformed(file, reterr, "an option's length is", len);
        if (code == TSRESOL && len == 1 && !unit_read(block[at], &interface.per_s))
            return file_malformed(file, reterr, "the resolution of time is", block[at]);
        if (code == TSOFFSET && len == 8) {
            uint32_t low = get32(file, block + at), high = get32(file, block + at + 4);
            interface.offset_s = file->swapped == (__BYTE_ORDER == __LITTLE_ENDIAN)
                                     ? (int64_t)((uint64_t)low << 32 | high)
                                     : (int64_t)((uint64_t)high << 32 | low);
        }
        at += MIN((len + 3) & ~3u, size - at);
    }
    if (file->count == file->room) {
        size_t room = file->room ? file->room * 2 : 4;
        struct interface *more =
            room > INTERFACES_MAX ? NULL : realloc(file->interfaces, room * sizeof *more);
        if (!more)
            return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %zu interfaces are too many", file->name,
                           file->count + 1);
        file->interfaces = more;
        file->room = room;
    }
    if (file->source.link < 0)
        file->source.link = interface.link;
    file->interfaces[file->count++] = interface;
    return 1;
}

/* A packet whose block has `head` bytes before it; where the lengths stand depends on the kind of block. */
static int block_packet(struct file *file, uint32_t type, uint32_t total, struct eye_packet *ret_packet,
                        struct eye_err *reterr) {
    const size_t head = type == BLOCK_SIMPLE ? 12 : 28;
    if (total < head + 4)
        return file_malformed(file, reterr, "a block's length is", total);
    int r = file_rest(file, head, reterr);
    if (r < 0)
        return r;
    const uint8_t *block = file->buffer + file->begin;
    uint32_t number = type == BLOCK_ENHANCED ? get32(file, block + 8)
                      : type == BLOCK_PACKET ? get16(file, block + 8)
                                             : 0;
    if (number >= file->count)
        return file_malformed(file, reterr, "nothing describes interface", number);
    const struct interface *interface = &file->interfaces[number];
    uint32_t len = get32(file, block + head - 4), caplen;
    if (type == BLOCK_SIMPLE)
        caplen = MIN(interface->snaplen ? MIN(len, interface->snaplen) : len, total - 16);
    else
        caplen = get32(file, block + 20);
    if (caplen > EYE_SNAPLEN_MAX || caplen > total - head - 4)
        return file_malformed(file, reterr, "a packet's length is", caplen);
    if ((r = file_rest(file, head + caplen, reterr)) < 0)
        return r;
    block = file->buffer + file->begin;
    *ret_packet = (struct eye_packet){
        .link = (uint32_t)interface->link, .caplen = caplen, .len = MAX(len, caplen), .data = block + head};
    if (type != BLOCK_SIMPLE)
        ret_packet->time_ns =
            unit_time(interface, (uint64_t)get32(file, block + 12) << 32 | get32(file, block + 16));
    file->begin += head + caplen;
    file->skip = total - head - caplen;
    return 1;
}

/* A section begins: its order of bytes is its own, and interfaces are counted anew. */
static int block_section(struct file *file, struct eye_err *reterr) {
    int r = file_rest(file, 16, reterr);
    if (r < 0)
        return r;
    const uint8_t *block = file->buffer + file->begin;
    uint32_t magic;
    memcpy(&magic, block + 8, sizeof magic);
    if (magic != BYTE_ORDER_MAGIC && magic != __builtin_bswap32(BYTE_ORDER_MAGIC))
        return file_malformed(file, reterr, "a section's byte order is", magic);
    file->swapped = magic != BYTE_ORDER_MAGIC;
    uint32_t total = get32(file, block + 4);
    if (total < 28)
        return file_malformed(file, reterr, "a block's length is", total);
    if (get16(file, block + 12) != 1)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: pcapng of version %u, not 1", file->name,
                       get16(file, block + 12));
    file->count = 0;
    file->begin += 16;
    file->skip = total - 16;
    return 1;
}

static int pcapng_record(struct file *file, struct eye_packet *ret_packet, struct eye_err *reterr) {
    for (;; file->number++) {
        int r = file_skip(file, reterr);
        if (r < 0)
            return r;
        if ((r = file_have(file, 8, reterr)) <= 0)
            return r == 0 && file->end > file->begin ? file_cut(file, reterr) : r;
        uint32_t type = get32(file, file->buffer + file->begin);
        uint32_t total = get32(file, file->buffer + file->begin + 4);
        if (type == BLOCK_SECTION) {
            if ((r = block_section(file, reterr)) < 0)
                return r;
            continue;
        }
        if (total < 12 || total % 4 != 0)
            return file_malformed(file, reterr, "a block's length is", total);
        if (type == BLOCK_ENHANCED || type == BLOCK_PACKET || type == BLOCK_SIMPLE) {
            r = block_packet(file, type, total, ret_packet, reterr);
            file->number += r > 0;
            return r;
        }
        if (type == BLOCK_INTERFACE) {
            if (total > EYE_SNAPLEN_MAX)
                return file_malformed(file, reterr, "a block's length is", total);
            if ((r = file_rest(file, total, reterr)) < 0 ||
                (r = block_interface(file, file->buffer + file->begin + 8, total - 12, reterr)) < 0)
                return r;
        }
        file->skip = total;
    }
}

/* ---- which of them it is ---- */

static int file_kind(struct file *file, struct eye_err *reterr) {
    static const struct {
        uint32_t magic;
        bool nano;
        size_t record_head;
    } magics[] = {
        {0xa1b2c3d4, false, RECORD_HEAD},
        {0xa1b23c4d, true, RECORD_HEAD},
        {0xa1b2cd34, false, RECORD_HEAD_MODIFIED}, /* Kuznetzov's: an interface's number in each record */
    };
    int r = file_have(file, FILE_HEAD, reterr);
    if (r < 0)
        return r;
    uint32_t magic = 0;
    if (file->end - file->begin >= sizeof magic)
        memcpy(&magic, file->buffer + file->begin, sizeof magic);
    for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
        file->swapped = magic == __builtin_bswap32(magics[i].magic);
        if (magic == magics[i].magic || file->swapped)
            return r == 0 ? err_set(reterr, EYE_ETRUNCATED, EYE_FAIL_TRUNCATED, "%s: cut off inside its head",
                                    file->name)
                          : pcap_head(file, magics[i].nano, magics[i].record_head, reterr);
    }
    if (magic == BLOCK_SECTION) {
        file->record = pcapng_record;
        file->source.nano = true; /* the unit is each interface's own, and what is finer must not be lost */
        return 1;
    }
    if (file->end == file->begin)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: empty, and so no capture file", file->name);
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_OTHER, "%s: neither pcap nor pcapng", file->name);
    if (file->buffer[file->begin] == 0x1f && file->buffer[file->begin + 1] == 0x8b)
        err_cause(reterr, "it is compressed: gzip -dc FILE | sockeye sniff -r -");
    return EYE_ESYNTAX;
}

static int file_next(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr) {
    struct file *file = (struct file *)source;
    if (!file->record) {
        int r = file_kind(file, reterr);
        if (r < 0)
            return r;
    }
    assert(file->record); /* file_kind found it */
    return file->record(file, ret_packet, reterr);
}

static void file_free(eye_source *source) {
    struct file *file = (struct file *)source;
    if (!file->given && file->fd >= 0)
        close(file->fd);
    free(file->interfaces);
    free(file->name);
    free(file);
}

static int file_open(const char *path, const struct eye_source_opts *opts, eye_source **ret_source,
                     struct eye_err *reterr) {
    (void)opts;
    bool given = strcmp(path, "-") == 0;
    struct file *file = calloc(1, sizeof *file);
    char *name = strdup(given ? "standard input" : path);
    if (!file || !name) {
        free(file);
        free(name);
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", path, eye_strerror(-ENOMEM));
    }
    file->name = name;
    file->given = given;
    file->fd = given ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    file->source.link = -EAGAIN;
    struct stat st = {0};
    int r = file->fd < 0 || fstat(file->fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
    if (r < 0) {
        err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", name, eye_strerror(r));
    } else if (S_ISREG(st.st_mode)) {
        file->source.fd = -1;
        r = file_kind(file, reterr);
    } else {
        file->source.fd = file->fd;
    }
    if (r < 0) {
        file_free(&file->source);
        return r;
    }
    *ret_source = &file->source;
    return 0;
}

const struct source_kind source_file = {"file", file_open, file_next, NULL, file_free};
