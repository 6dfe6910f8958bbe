/* kernel_cipher.c: the kernel's ciphers.
 *
 * AES-CBC and AES-CTR (skcipher) go in pieces: the kernel chains the IV as long as more is promised. An
 * AEAD's message is one operation: its AAD, text and tag must fit the socket's send buffer at once, and the
 * result comes in one receive, AAD first. Where the tag is wrong, recv says EBADMSG with the plaintext
 * already in the buffer: cipher.c wipes it. */
#include <errno.h>
#include <linux/if_alg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crypto/kernel.h"

#ifndef SOL_ALG
#define SOL_ALG 279
#endif

#define PAGE_BYTES        4096
#define RESULT_EXTRA      (size_t)(4 * PAGE_BYTES)
#define IV_BYTES_MAX      16
/* A larger one fails for want of memory for its list of pages (net.core.optmem_max). */
#define MESSAGE_BYTES_MAX (size_t)(512 * 1024)

struct cipher {
    const struct cipher_row *row;
    struct alg alg;
    enum eye_cipher_way way;
    const struct eye_cipher_io *io; /* of an operation that has begun, until its first piece */
};

static void cipher_close(void *state) {
    struct cipher *cipher = state;
    alg_close(&cipher->alg);
    free(cipher);
}

static int cipher_open(const struct cipher_row *row, const eye_key *key, void **ret_state,
                       struct eye_err *reterr) {
    struct cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", row->alg.name, eye_strerror(-ENOMEM));
    cipher->row = row;
    const char *type = row->alg.tag_bytes ? "aead" : "skcipher";
    int r = alg_open(&cipher->alg, type, row->alg.name, row->kernel, key, row->alg.tag_bytes, reterr);
    if (r < 0) {
        free(cipher);
        return r;
    }
    *ret_state = cipher;
    return 0;
}

/* The operation's first send: which way, the IV, how much is AAD, and what iov has. */
static int64_t send_first(const struct cipher *cipher, const struct eye_cipher_io *io, struct iovec *iov,
                          size_t count, bool more) {
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(uint32_t)) * 2 + CMSG_SPACE(sizeof(struct af_alg_iv) + IV_BYTES_MAX)];
    } control = {0};
    size_t iv_bytes = cipher->row->alg.iv_bytes;
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = count,
                         .msg_control = control.buf,
                         .msg_controllen =
                             CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct af_alg_iv) + iv_bytes)};
    bool aead = cipher->row->alg.tag_bytes > 0;
    if (aead)
        msg.msg_controllen += CMSG_SPACE(sizeof(uint32_t));

    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    uint32_t number = cipher->way == EYE_ENCRYPT ? ALG_OP_ENCRYPT : ALG_OP_DECRYPT;
    *cmsg =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof number), .cmsg_level = SOL_ALG, .cmsg_type = ALG_SET_OP};
    memcpy(CMSG_DATA(cmsg), &number, sizeof number);

    cmsg = CMSG_NXTHDR(&msg, cmsg);
    number = (uint32_t)iv_bytes;
    *cmsg = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct af_alg_iv) + iv_bytes),
                             .cmsg_level = SOL_ALG,
                             .cmsg_type = ALG_SET_IV};
    memcpy(CMSG_DATA(cmsg), &number, sizeof number); /* struct af_alg_iv: the length, the bytes */
    memcpy(CMSG_DATA(cmsg) + sizeof number, io->iv, iv_bytes);

    if (aead) {
        cmsg = CMSG_NXTHDR(&msg, cmsg);
        number = (uint32_t)io->aad_bytes;
        *cmsg = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof number), .cmsg_level = SOL_ALG, .cmsg_type = ALG_SET_AEAD_ASSOCLEN};
        memcpy(CMSG_DATA(cmsg), &number, sizeof number);
    }
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    ssize_t n = TEMP_FAILURE_RETRY(sendmsg(cipher->alg.op, &msg, flags));
    return n < 0 ? -errno : n;
}

/* ---- in pieces ---- */

static int cipher_begin(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io) {
    struct cipher *cipher = state;
    cipher->way = way;
    cipher->io = io;
    return alg_renew(&cipher->alg); /* the last one may have ended in its middle */
}

/* Sends some of a piece. Returns the bytes, or -EAGAIN while the operation has no room. */
static int64_t send_some(struct cipher *cipher, const struct piece *in, size_t done, bool more) {
    if (in->data)
        return alg_send(&cipher->alg, in->data + done, in->size - done, more);
    int64_t at = in->offset < 0 ? -1 : in->offset + (int64_t)done;
    int64_t n = alg_splice(&cipher->alg, in->fd, at, in->size - done);
    return n == 0 ? EYE_ETRUNCATED : n;
}

static int cipher_update(void *state, const struct piece *in, uint8_t *out, bool more) {
    struct cipher *cipher = state;
    size_t sent = 0, got = 0;
    if (cipher->io && in->size > 0) {
        int64_t n = send_first(cipher, cipher->io, NULL, 0, true);
        cipher->io = NULL;
        if (n < 0)
            return (int)n;
    }
    while (got < in->size) {
        int64_t n = sent < in->size ? send_some(cipher, in, sent, more) : 0;
        if (n < 0 && (n != -EAGAIN || sent == got))
            return (int)n;
        sent += n > 0 ? (size_t)n : 0;
        n = alg_recv(&cipher->alg, out + got, sent - got);
        if (n <= 0 && (n != -EAGAIN || sent == in->size))
            return n < 0 ? (int)n : -EIO;
        got += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* ---- an AEAD's message ---- */

/* Whole pages: what a socket's buffer takes. */
static size_t buffer_room(int fd, int name) {
    int size = 0;
    socklen_t len = sizeof size;
    return getsockopt(fd, SOL_SOCKET, name, &size, &len) < 0 ? 0 : (size_t)size / PAGE_BYTES * PAGE_BYTES;
}

/* The result needs room too: where the receive buffer is short of it, recv gives less and says nothing. */
static size_t cipher_bytes_max(void *state, size_t wanted) {
    static const int names[2][2] = {{SO_SNDBUF, SO_RCVBUF}, {SO_SNDBUFFORCE, SO_RCVBUFFORCE}};
    const struct cipher *cipher = state;
    if (cipher->row->alg.tag_bytes == 0)
        return SIZE_MAX;
    if (wanted > MESSAGE_BYTES_MAX)
        wanted = MESSAGE_BYTES_MAX;
    for (int tried = 0;; tried++) {
        size_t room = buffer_room(cipher->alg.op, SO_SNDBUF), back = buffer_room(cipher->alg.op, SO_RCVBUF);
        back = back > RESULT_EXTRA ? back - RESULT_EXTRA : 0;
        room = MIN(room, back);
        if (wanted <= room || tried == 2)
            return MIN(room, MESSAGE_BYTES_MAX);
        /* The kernel doubles what it is given (socket(7)); FORCE is root's. */
        int half = (int)(wanted + RESULT_EXTRA + PAGE_BYTES) / 2;
        for (int i = 0; i < 2; i++)
            setsockopt(cipher->alg.op, SOL_SOCKET, names[tried][i], &half, sizeof half);
    }
}

static int64_t send_spliced(struct cipher *cipher, const struct piece *in) {
    size_t done = 0;
    while (done < in->size) {
        int64_t at = in->offset < 0 ? -1 : in->offset + (int64_t)done;
        int64_t n = alg_splice(&cipher->alg, in->fd, at, in->size - done);
        if (n <= 0)
            return n < 0 ? n : EYE_ETRUNCATED;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int send_message(struct cipher *cipher, const struct eye_cipher_io *io, const struct piece *in,
                        size_t whole) {
    size_t tag_bytes = cipher->way == EYE_DECRYPT ? EYE_TAG_BYTES : 0;
    struct iovec iov[3] = {
        {(void *)io->aad, io->aad_bytes}, {(void *)in->data, in->size}, {io->tag, tag_bytes}};
    if (in->data || in->size == 0) {
        int64_t n = send_first(cipher, io, iov, 3, false);
        return n < 0 ? (int)n : n == (int64_t)whole ? 0 : -EMSGSIZE;
    }
    int64_t n = send_first(cipher, io, iov, 1, true);
    if (n >= 0)
        n = send_spliced(cipher, in);
    if (n >= 0)
        n = alg_send(&cipher->alg, io->tag, tag_bytes, false);
    return n < 0 ? (int)n : 0;
}

static int recv_message(struct cipher *cipher, const struct eye_cipher_io *io, size_t size, uint8_t *out) {
    uint8_t small[256], *aad = io->aad_bytes <= sizeof small ? small : malloc(io->aad_bytes), nothing[1];
    size_t tag_bytes = cipher->way == EYE_ENCRYPT ? EYE_TAG_BYTES : 0;
    size_t whole = io->aad_bytes + size + tag_bytes;
    struct iovec iov[4] = {{aad, io->aad_bytes}, {out, size}, {io->tag, tag_bytes}, {nothing, whole == 0}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 4};
    if (!aad)
        return -ENOMEM;
    /* Exactly the result's length; for an empty one a byte, or nothing would be done and no tag checked. */
    ssize_t n = TEMP_FAILURE_RETRY(recvmsg(cipher->alg.op, &msg, MSG_DONTWAIT));
    int r = n < 0 ? -errno : (size_t)n == whole ? 0 : -EIO;
    if (aad != small)
        free(aad);
    return r;
}

static int cipher_whole(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io,
                        const struct piece *in, uint8_t *out) {
    struct cipher *cipher = state;
    size_t whole = io->aad_bytes + in->size + (way == EYE_DECRYPT ? EYE_TAG_BYTES : 0);
    cipher->way = way;
    if (whole > cipher_bytes_max(state, whole))
        return -EMSGSIZE;
    int r = send_message(cipher, io, in, whole);
    if (r == 0)
        r = recv_message(cipher, io, in->size, out);
    if (r < 0 && alg_renew(&cipher->alg) < 0)
        return -EIO;
    return r == -EAGAIN || r == -ENOMEM ? -EMSGSIZE : r;
}

const struct cipher_ops crypto_kernel_cipher = {.open = cipher_open,
                                                .close = cipher_close,
                                                .begin = cipher_begin,
                                                .update = cipher_update,
                                                .message = cipher_whole,
                                                .bytes_max = cipher_bytes_max,
                                                .takes_fd = true};
