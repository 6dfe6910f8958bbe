/* cipher.c: what is the same for all ciphers and providers: sizes, PKCS#7, tags at the end or apart, messages
 * from descriptors, wiping what did not verify.
 *
 * The fill-up of PKCS#7 is done here for both providers, since the kernel does none. Its check tells bad
 * padding from good, as the exit status does, and CBC has no other proof: who can ask often enough can
 * decrypt (Vaudenay's oracle). That is what AEADs are for. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/provider.h"

/* FIPS 197 and SP 800-38A (CBC, CTR), SP 800-38D (GCM), RFC 8439. */
static const struct cipher_row rows[] = {
    {{"aes-128-cbc", 16, 16, 16, 0}, "AES-128-CBC", "cbc(aes)"},
    {{"aes-192-cbc", 24, 16, 16, 0}, "AES-192-CBC", "cbc(aes)"},
    {{"aes-256-cbc", 32, 16, 16, 0}, "AES-256-CBC", "cbc(aes)"},
    {{"aes-128-ctr", 16, 16, 1, 0}, "AES-128-CTR", "ctr(aes)"},
    {{"aes-192-ctr", 24, 16, 1, 0}, "AES-192-CTR", "ctr(aes)"},
    {{"aes-256-ctr", 32, 16, 1, 0}, "AES-256-CTR", "ctr(aes)"},
    {{"aes-128-gcm", 16, 12, 1, EYE_TAG_BYTES}, "AES-128-GCM", "gcm(aes)"},
    {{"aes-192-gcm", 24, 12, 1, EYE_TAG_BYTES}, "AES-192-GCM", "gcm(aes)"},
    {{"aes-256-gcm", 32, 12, 1, EYE_TAG_BYTES}, "AES-256-GCM", "gcm(aes)"},
    {{"chacha20-poly1305", 32, 12, 1, EYE_TAG_BYTES}, "ChaCha20-Poly1305", "rfc7539(chacha20,poly1305)"},
};

struct eye_cipher {
    const struct cipher_row *row;
    const struct provider *provider;
    const struct cipher_ops *ops;
    void *state;
};

#define BLOCK_BYTES 16
#define PIECE_BYTES (size_t)(64 * 1024)

const struct eye_cipher_alg *eye_cipher_alg(size_t index) {
    return index < ARRAY_LEN(rows) ? &rows[index].alg : NULL;
}

const struct eye_cipher_alg *eye_cipher_alg_of(const eye_cipher *cipher) {
    return &cipher->row->alg;
}

static const struct cipher_row *row_find(const char *name, struct eye_err *reterr) {
    const char *names[ARRAY_LEN(rows) + 1] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        names[i] = rows[i].alg.name;
        if (strcmp(names[i], name) == 0)
            return &rows[i];
    }
    provider_no_such("cipher", name, names, reterr);
    return NULL;
}

/* Of the same mode, in the order of the table. */
static void name_sizes(const struct cipher_row *row, struct eye_err *reterr) {
    char text[128] = "";
    size_t used = 0, count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].kernel, row->kernel) == 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s takes %zu", count++ ? ", " : "",
                                     rows[i].alg.name, rows[i].alg.key_bytes);
    if (count > 1)
        err_cause(reterr, "%s", text);
}

static int wrong_key(const struct cipher_row *row, const eye_key *key, struct eye_err *reterr) {
    size_t size = eye_key_size(key), wants = row->alg.key_bytes;
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s takes a key of %zu bytes, not %zu", row->alg.name, wants,
            size);
    if (size == wants + 1)
        err_cause(reterr, "the last byte may be a newline that does not belong to the key");
    else if (size == 2 * wants || size == 2 * wants + 1)
        err_cause(reterr, "if these are hex digits: the key is the bytes themselves (xxd -r -p)");
    else
        name_sizes(row, reterr);
    return EYE_ESYNTAX;
}

int eye_cipher_new(const char *alg, const char *provider, const eye_key *key, eye_cipher **ret_cipher,
                   struct eye_err *reterr) {
    const struct cipher_row *row = row_find(alg, reterr);
    const struct provider *from = row ? provider_find(provider, reterr) : NULL;
    if (!from)
        return EYE_ESYNTAX;
    if (eye_key_size(key) != row->alg.key_bytes)
        return wrong_key(row, key, reterr);
    eye_cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", alg, eye_strerror(-ENOMEM));
    *cipher = (eye_cipher){.row = row, .provider = from, .ops = from->cipher};
    int r = cipher->ops->open(row, key, &cipher->state, reterr);
    if (r < 0) {
        free(cipher);
        return r;
    }
    *ret_cipher = cipher;
    return 0;
}

eye_cipher *eye_cipher_free(eye_cipher *cipher) {
    if (cipher) {
        cipher->ops->close(cipher->state);
        free(cipher);
    }
    return NULL;
}

size_t eye_cipher_bytes_max(const eye_cipher *cipher) {
    return cipher->ops->bytes_max ? cipher->ops->bytes_max(cipher->state, SIZE_MAX) : SIZE_MAX;
}

bool cipher_takes_fd(const eye_cipher *cipher) {
    return cipher->ops->takes_fd;
}

int cipher_message(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                   const struct piece *in, uint8_t *out) {
    int r = cipher->ops->message(cipher->state, way, io, in, out);
    if (r < 0)
        explicit_bzero(out, in->size);
    return r;
}

static int64_t failed(const eye_cipher *cipher, int64_t code, struct eye_err *reterr) {
    const char *name = cipher->row->alg.name;
    if (code == -EBADMSG)
        return err_set(reterr, -EBADMSG, EYE_FAIL_AUTHENTIC, "%s: %s does not verify", name,
                       cipher->row->alg.tag_bytes ? "the tag" : "the padding");
    if (code != -EMSGSIZE)
        return err_set(reterr, (int)code, EYE_FAIL_OTHER, "%s: %s", name, eye_strerror((int)code));
    err_set(reterr, -EMSGSIZE, EYE_FAIL_OTHER,
            "%s by the kernel: more than the %zu bytes, AAD and tag included, that its socket takes at once",
            name, eye_cipher_bytes_max(cipher));
    err_cause(reterr,
              "the limit of a send buffer, net.core.wmem_max; --provider openssl has none, and 'sockeye "
              "encrypt' splits files into chunks");
    return -EMSGSIZE;
}

static int64_t too_short(const eye_cipher *cipher, uint64_t size, struct eye_err *reterr) {
    if (cipher->row->alg.tag_bytes)
        return err_set(reterr, -EBADMSG, EYE_FAIL_AUTHENTIC, "%s: %llu bytes are fewer than a tag's %d",
                       cipher->row->alg.name, (unsigned long long)size, EYE_TAG_BYTES);
    return err_set(reterr, -EBADMSG, EYE_FAIL_AUTHENTIC, "%s: %llu bytes are not a multiple of %d from %d on",
                   cipher->row->alg.name, (unsigned long long)size, BLOCK_BYTES, BLOCK_BYTES);
}

static bool pads(const eye_cipher *cipher) {
    return cipher->row->alg.block_bytes > 1;
}

/* Fills the last block of size bytes up; returns the new size. */
static size_t pad(uint8_t *data, size_t size) {
    size_t fill = BLOCK_BYTES - size % BLOCK_BYTES;
    memset(data + size, (int)fill, fill);
    return size + fill;
}

/* What is left without the padding, or -EBADMSG. Takes as long for each. */
static int64_t unpad(const uint8_t *data, size_t size) {
    unsigned fill = data[size - 1], bad = (fill == 0) | (fill > BLOCK_BYTES);
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        bad |= (i < fill) & (data[size - 1 - i] != fill);
    return bad ? -EBADMSG : (int64_t)(size - fill);
}

/* ---- in memory ---- */

static int64_t run_aead(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                        const uint8_t *in, size_t size, uint8_t *out, struct eye_err *reterr) {
    struct eye_cipher_io with_tag = *io;
    uint8_t tag[EYE_TAG_BYTES];
    size_t text = size;
    if (!io->tag && way == EYE_DECRYPT) {
        if (size < EYE_TAG_BYTES)
            return too_short(cipher, size, reterr);
        text -= EYE_TAG_BYTES;
        memcpy(tag, in + text, EYE_TAG_BYTES);
    }
    with_tag.tag = io->tag ? io->tag : tag;
    int r = cipher_message(cipher, way, &with_tag, &(struct piece){.data = in, .size = text}, out);
    if (r < 0)
        return failed(cipher, r, reterr);
    if (io->tag || way == EYE_DECRYPT)
        return (int64_t)text;
    memcpy(out + text, tag, EYE_TAG_BYTES);
    return (int64_t)(text + EYE_TAG_BYTES);
}

int64_t eye_cipher_run(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                       const void *in, size_t size, void *out, struct eye_err *reterr) {
    uint8_t *bytes = out;
    if (cipher->row->alg.tag_bytes)
        return run_aead(cipher, way, io, in, size, out, reterr);
    int64_t n = (int64_t)size;
    if (pads(cipher) && way == EYE_DECRYPT && (size == 0 || size % BLOCK_BYTES != 0))
        return too_short(cipher, size, reterr);
    if (size > 0)
        memmove(bytes, in, size);
    if (pads(cipher) && way == EYE_ENCRYPT)
        n = (int64_t)pad(bytes, size);
    size = (size_t)n;
    int r = cipher->ops->begin(cipher->state, way, io);
    if (r == 0)
        r = cipher->ops->update(cipher->state, &(struct piece){.data = bytes, .size = size}, bytes, false);
    if (r < 0)
        n = r;
    else if (pads(cipher) && way == EYE_DECRYPT)
        n = unpad(bytes, size);
    if (n >= 0)
        return n;
    explicit_bzero(bytes, size);
    return failed(cipher, n, reterr);
}

/* ---- from descriptor to descriptor ---- */

struct flow {
    eye_cipher *cipher;
    enum eye_cipher_way way;
    struct eye_cipher_io io;
    int in, out;
    int64_t left; /* of a regular file; -1: not known */
    size_t hold;  /* the bytes at the end that are not text, or not yet: the tag, the last block */
    uint8_t *buf, *result;
    int64_t taken, written;
    void (*progress)(void *user, int64_t bytes);
    void *user;
};

static int flow_put(struct flow *f, const uint8_t *data, size_t size) {
    int64_t n = io_write(f->out, data, size, -1);
    f->written += n > 0 ? n : 0;
    if (f->progress)
        f->progress(f->user, f->taken);
    return n < 0 ? (int)n : 0;
}

static int flow_piece(struct flow *f, const struct piece *piece, bool more) {
    int r = f->cipher->ops->update(f->cipher->state, piece, f->result, more);
    if (r < 0)
        return r;
    f->taken += (int64_t)piece->size;
    return more ? flow_put(f, f->result, piece->size) : 0;
}

/* The end: have bytes are left in buf. */
static int64_t flow_end(struct flow *f, size_t have) {
    const struct eye_cipher_alg *alg = &f->cipher->row->alg;
    uint8_t tag[EYE_TAG_BYTES];
    bool decrypts = f->way == EYE_DECRYPT, appended = alg->tag_bytes && !f->io.tag;
    size_t size = have;
    if (appended && decrypts) {
        size -= EYE_TAG_BYTES;
        memcpy(tag, f->buf + size, EYE_TAG_BYTES);
    }
    if (pads(f->cipher) && !decrypts)
        size = pad(f->buf, size);
    int64_t r = flow_piece(f, &(struct piece){.data = f->buf, .size = size}, false);
    if (r == 0 && alg->tag_bytes)
        r = f->cipher->ops->final(f->cipher->state, f->io.tag ? f->io.tag : tag);
    if (r == 0 && pads(f->cipher) && decrypts) {
        r = unpad(f->result, size);
        size = r < 0 ? 0 : (size_t)r;
    }
    if (r >= 0)
        r = flow_put(f, f->result, size);
    if (r == 0 && appended && !decrypts)
        r = flow_put(f, tag, EYE_TAG_BYTES);
    return r < 0 ? r : f->written;
}

/* Whole pieces of a file, which the kernel takes without copying; the rest is read. */
static int flow_by_fd(struct flow *f) {
    while (f->left > (int64_t)(PIECE_BYTES + f->hold)) {
        const struct piece piece = {.fd = f->in, .offset = -1, .size = PIECE_BYTES};
        int r = flow_piece(f, &piece, true);
        if (r == -EOPNOTSUPP && f->taken == 0)
            return 0;
        if (r < 0)
            return r;
        f->left -= (int64_t)PIECE_BYTES;
    }
    return 0;
}

static int64_t flow_run(struct flow *f, struct eye_err *reterr) {
    size_t have = 0, room = PIECE_BYTES + f->hold;
    int64_t r = f->cipher->ops->begin(f->cipher->state, f->way, &f->io);
    if (r == 0 && cipher_takes_fd(f->cipher))
        r = flow_by_fd(f);
    while (r >= 0) {
        r = io_read(f->in, f->buf + have, room - have, -1);
        have += r > 0 ? (size_t)r : 0;
        if (r < 0 || have < room)
            break;
        r = flow_piece(f, &(struct piece){.data = f->buf, .size = PIECE_BYTES}, true);
        memmove(f->buf, f->buf + PIECE_BYTES, f->hold);
        have = f->hold;
    }
    if (r >= 0 && (have < f->hold || (f->hold && pads(f->cipher) && have % BLOCK_BYTES != 0)))
        return too_short(f->cipher, (uint64_t)f->taken + have, reterr);
    if (r >= 0)
        r = flow_end(f, have);
    return r < 0 ? failed(f->cipher, r, reterr) : r;
}

/* An AEAD whose message is one operation, from a file without copying it. Its result is in f->result. */
static int64_t message_from_file(struct flow *f) {
    uint8_t tag[EYE_TAG_BYTES];
    struct piece in = {.fd = f->in, .offset = lseek(f->in, 0, SEEK_CUR), .size = (size_t)f->left - f->hold};
    struct eye_cipher_io io = f->io;
    if (f->hold > 0) {
        int64_t n = io_read(f->in, tag, sizeof tag, in.offset + (int64_t)in.size);
        if (n < (int64_t)sizeof tag)
            return n < 0 ? n : EYE_ETRUNCATED;
    }
    io.tag = io.tag ? io.tag : tag;
    int r = cipher_message(f->cipher, f->way, &io, &in, f->result);
    if (r < 0 || f->io.tag || f->way == EYE_DECRYPT)
        return r < 0 ? r : (int64_t)in.size;
    memcpy(f->result + in.size, tag, sizeof tag);
    return (int64_t)(in.size + sizeof tag);
}

static int64_t flow_message(struct flow *f, struct eye_err *reterr) {
    size_t max = eye_cipher_bytes_max(f->cipher);
    int64_t n = -EOPNOTSUPP;
    if (f->left > (int64_t)max)
        return failed(f->cipher, -EMSGSIZE, reterr);
    if (f->left >= (int64_t)f->hold && f->left > 0)
        n = message_from_file(f);
    /* Pages of a file that are not full take a page's room all the same: what is near the limit is copied. */
    if (n == -EOPNOTSUPP || n == -EMSGSIZE) {
        n = io_read(f->in, f->buf, f->left < 0 ? max + 1 : (size_t)f->left, -1);
        if (n >= 0)
            n = eye_cipher_run(f->cipher, f->way, &f->io, f->buf, (size_t)n, f->result, reterr);
    } else if (n < 0) {
        return failed(f->cipher, n, reterr);
    }
    return n < 0 ? n : io_write(f->out, f->result, (size_t)n, -1);
}

int64_t eye_cipher_run_fd(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io, int in,
                          int out, void (*progress)(void *user, int64_t bytes), void *user,
                          struct eye_err *reterr) {
    bool aead = cipher->row->alg.tag_bytes > 0;
    bool at_once = aead && !cipher->ops->final;
    size_t room = at_once ? eye_cipher_bytes_max(cipher) + 1 : PIECE_BYTES;
    struct stat st;
    int64_t left = -1;
    if (fstat(in, &st) == 0 && S_ISREG(st.st_mode))
        left = st.st_size - lseek(in, 0, SEEK_CUR);
    if (at_once && left >= 0 && left < (int64_t)room)
        room = (size_t)left + 1;
    struct flow f = {.cipher = cipher,
                     .way = way,
                     .io = *io,
                     .in = in,
                     .out = out,
                     .left = left,
                     .hold =
                         way == EYE_DECRYPT && !(aead && io->tag) && (aead || pads(cipher)) ? BLOCK_BYTES : 0,
                     .buf = malloc(room + 2 * BLOCK_BYTES),
                     .result = malloc(room + 2 * BLOCK_BYTES),
                     .progress = progress,
                     .user = user};
    int64_t r = !f.buf || !f.result ? failed(cipher, -ENOMEM, reterr)
                : at_once           ? flow_message(&f, reterr)
                                    : flow_run(&f, reterr);
    if (f.buf)
        explicit_bzero(f.buf, room);
    if (f.result)
        explicit_bzero(f.result, room);
    free(f.buf);
    free(f.result);
    return r;
}
