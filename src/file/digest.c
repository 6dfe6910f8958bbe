/* digest.c: see digest.h. */
#include "file/digest.h"

#include <endian.h>
#include <string.h>

#include "base/base.h"

#define STRIPE_BYTES 32

/* The specification's five primes. */
static const uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F, prime3 = 0x165667B19E3779F9,
                      prime4 = 0x85EBCA77C2B2AE63, prime5 = 0x27D4EB2F165667C5;

static inline uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

static inline uint32_t load32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return le32toh(x);
}

static inline uint64_t mix(uint64_t lane, uint64_t input) {
    return rotate(lane + input * prime2, 31) * prime1;
}

void xxh64_begin(struct xxh64 *hash) {
    hash->lanes[0] = prime1 + prime2;
    hash->lanes[1] = prime2;
    hash->lanes[2] = 0;
    hash->lanes[3] = 0 - prime1;
    hash->total_bytes = 0;
}

/* Whole stripes. The lanes stand in variables of their own, which the compiler keeps in registers. */
static void mix_stripes(struct xxh64 *hash, const uint8_t *p, size_t size) {
    uint64_t a = hash->lanes[0], b = hash->lanes[1], c = hash->lanes[2], d = hash->lanes[3];
    for (; size >= STRIPE_BYTES; size -= STRIPE_BYTES, p += STRIPE_BYTES) {
        a = mix(a, load64(p));
        b = mix(b, load64(p + 8));
        c = mix(c, load64(p + 16));
        d = mix(d, load64(p + 24));
    }
    hash->lanes[0] = a;
    hash->lanes[1] = b;
    hash->lanes[2] = c;
    hash->lanes[3] = d;
}

void xxh64_update(struct xxh64 *hash, const void *data, size_t size) {
    const uint8_t *p = data;
    size_t held = hash->total_bytes % STRIPE_BYTES;
    hash->total_bytes += size;
    if (held > 0) {
        size_t more = MIN(size, STRIPE_BYTES - held);
        memcpy(hash->rest + held, p, more);
        if (held + more < STRIPE_BYTES)
            return;
        mix_stripes(hash, hash->rest, STRIPE_BYTES);
        p += more;
        size -= more;
    }
    size_t whole = size / STRIPE_BYTES * STRIPE_BYTES;
    mix_stripes(hash, p, whole);
    if (size > whole)
        memcpy(hash->rest, p + whole, size - whole);
}

static uint64_t converge(const uint64_t lanes[4]) {
    uint64_t x = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    for (int i = 0; i < 4; i++)
        x = (x ^ mix(0, lanes[i])) * prime1 + prime4;
    return x;
}

uint64_t xxh64_value(const struct xxh64 *hash) {
    const uint8_t *p = hash->rest, *end = p + hash->total_bytes % STRIPE_BYTES;
    uint64_t x = hash->total_bytes >= STRIPE_BYTES ? converge(hash->lanes) : prime5;
    x += hash->total_bytes;
    for (; end - p >= 8; p += 8)
        x = rotate(x ^ mix(0, load64(p)), 27) * prime1 + prime4;
    for (; end - p >= 4; p += 4)
        x = rotate(x ^ (load32(p) * prime1), 23) * prime2 + prime3;
    for (; p < end; p++)
        x = rotate(x ^ (*p * prime5), 11) * prime1;
    x = (x ^ x >> 33) * prime2;
    x = (x ^ x >> 29) * prime3;
    return x ^ x >> 32;
}

/* ---- blocks ---- */

void digest_begin(struct digest *digest) {
    xxh64_begin(&digest->block);
    xxh64_begin(&digest->blocks);
}

static void take_block(struct xxh64 *blocks, uint64_t value) {
    value = htobe64(value);
    xxh64_update(blocks, &value, sizeof value);
}

void digest_update(struct digest *digest, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        size_t n = MIN(size, DIGEST_BLOCK_BYTES - digest->block.total_bytes);
        xxh64_update(&digest->block, p, n);
        p += n;
        size -= n;
        if (digest->block.total_bytes == DIGEST_BLOCK_BYTES) {
            take_block(&digest->blocks, xxh64_value(&digest->block));
            xxh64_begin(&digest->block);
        }
    }
}

void digest_hole(struct digest *digest, uint64_t size) {
    static const uint8_t zeros[64 * 1024];
    static const uint64_t zero_block = 0x87D2A1B6E1163EF1; /* of a whole block of zeros */
    while (size > 0) {
        if (digest->block.total_bytes == 0 && size >= DIGEST_BLOCK_BYTES) {
            take_block(&digest->blocks, zero_block);
            size -= DIGEST_BLOCK_BYTES;
            continue;
        }
        size_t n = MIN(size, DIGEST_BLOCK_BYTES - digest->block.total_bytes);
        n = MIN(n, sizeof zeros);
        digest_update(digest, zeros, n);
        size -= n;
    }
}

uint64_t digest_value(const struct digest *digest) {
    struct xxh64 blocks = digest->blocks;
    if (digest->block.total_bytes > 0)
        take_block(&blocks, xxh64_value(&digest->block));
    return xxh64_value(&blocks);
}
