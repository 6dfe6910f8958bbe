/* digest.c: see digest.h. The hash is the long form of XXH3_64bits (xxHash 0.8): stripes of 64 bytes are
 * mixed into eight lanes, each with its own place of the secret, and after 16 stripes the lanes are
 * scrambled. */
#include "file/digest.h"

#include <endian.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "base/base.h"

#define STRIPE_BYTES    XXH3_STRIPE_BYTES
#define LANES           XXH3_LANES
#define SCRAMBLE_AFTER  16 /* stripes */
#define SHORTEST_BYTES  256
#define SECRET_BYTES    192
#define SECRET_SCRAMBLE (SECRET_BYTES - STRIPE_BYTES)
#define SECRET_LAST     (SECRET_SCRAMBLE - 7)
#define SECRET_MERGE    11

static const uint32_t prime32_1 = 0x9E3779B1, prime32_2 = 0x85EBCA77, prime32_3 = 0xC2B2AE3D;
static const uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F, prime3 = 0x165667B19E3779F9,
                      prime4 = 0x85EBCA77C2B2AE63, prime5 = 0x27D4EB2F165667C5;

/* The specification's default secret. */
static const uint8_t secret[SECRET_BYTES] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

bool digest_without_vectors;

static inline uint64_t load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

static void mix_plain(uint64_t lanes[LANES], const uint8_t *p, const uint8_t *key, size_t stripes) {
    for (; stripes > 0; stripes--, p += STRIPE_BYTES, key += 8)
        for (size_t i = 0; i < LANES; i++) {
            uint64_t word = load64(p + 8 * i), keyed = word ^ load64(key + 8 * i);
            lanes[i ^ 1] += word;
            lanes[i] += (uint64_t)(uint32_t)keyed * (keyed >> 32);
        }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void mix_vectors(uint64_t lanes[LANES], const uint8_t *p,
                                                        const uint8_t *key, size_t stripes) {
    enum { VECTORS = STRIPE_BYTES / sizeof(__m256i) };
    __m256i sums[VECTORS];
    memcpy(sums, lanes, sizeof sums);
    for (; stripes > 0; stripes--, p += STRIPE_BYTES, key += 8)
        for (size_t i = 0; i < VECTORS; i++) {
            __m256i words, keyed;
            memcpy(&words, p + i * sizeof words, sizeof words);
            memcpy(&keyed, key + i * sizeof keyed, sizeof keyed);
            keyed = _mm256_xor_si256(words, keyed);
            __m256i high = _mm256_srli_epi64(keyed, 32);
            __m256i swapped = _mm256_shuffle_epi32(words, _MM_SHUFFLE(1, 0, 3, 2));
            sums[i] = _mm256_add_epi64(sums[i], _mm256_add_epi64(_mm256_mul_epu32(keyed, high), swapped));
        }
    memcpy(lanes, sums, sizeof sums);
}

static bool has_vectors(void) {
    return !digest_without_vectors && __builtin_cpu_supports("avx2");
}
#else
#define mix_vectors mix_plain
static bool has_vectors(void) {
    return false;
}
#endif

static void scramble(uint64_t lanes[LANES]) {
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = (lanes[i] ^ lanes[i] >> 47 ^ load64(secret + SECRET_SCRAMBLE + 8 * i)) * prime32_1;
}

/* Stripes that others follow; `before` came before them. */
static void mix_stripes(struct xxh3 *hash, uint64_t before, const uint8_t *p, size_t stripes) {
    while (stripes > 0) {
        size_t at = before % SCRAMBLE_AFTER, n = MIN(stripes, SCRAMBLE_AFTER - at);
        (has_vectors() ? mix_vectors : mix_plain)(hash->lanes, p, secret + 8 * at, n);
        if (at + n == SCRAMBLE_AFTER)
            scramble(hash->lanes);
        before += n;
        stripes -= n;
        p += n * STRIPE_BYTES;
    }
}

static void xxh3_begin(struct xxh3 *hash) {
    const uint64_t lanes[LANES] = {prime32_3, prime1, prime2, prime3, prime4, prime32_2, prime5, prime32_1};
    memcpy(hash->lanes, lanes, sizeof lanes);
    hash->total_bytes = 0;
}

/* How much of the next stripe is held: all of it rather than none. */
static size_t held_bytes(const struct xxh3 *hash) {
    return hash->total_bytes == 0 ? 0 : (hash->total_bytes - 1) % STRIPE_BYTES + 1;
}

static void xxh3_update(struct xxh3 *hash, const uint8_t *p, size_t size) {
    size_t held = held_bytes(hash);
    uint64_t before = (hash->total_bytes - held) / STRIPE_BYTES;
    uint8_t *last = hash->held, *next = hash->held + STRIPE_BYTES;
    hash->total_bytes += size;
    if (held + size > STRIPE_BYTES && held > 0) {
        size_t more = STRIPE_BYTES - held;
        memcpy(next + held, p, more);
        mix_stripes(hash, before++, next, 1);
        memcpy(last, next, STRIPE_BYTES);
        p += more;
        size -= more;
        held = 0;
    }
    size_t stripes = held + size > STRIPE_BYTES ? (size - 1) / STRIPE_BYTES : 0;
    mix_stripes(hash, before, p, stripes);
    p += stripes * STRIPE_BYTES;
    size -= stripes * STRIPE_BYTES;
    if (stripes > 0)
        memcpy(last, p - STRIPE_BYTES, STRIPE_BYTES);
    if (size > 0)
        memcpy(next + held, p, size);
}

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t xxh3_value(const struct xxh3 *hash) {
    static const uint8_t zeros[SHORTEST_BYTES];
    struct xxh3 whole = *hash;
    if (whole.total_bytes < SHORTEST_BYTES)
        xxh3_update(&whole, zeros, SHORTEST_BYTES - whole.total_bytes);
    mix_plain(whole.lanes, whole.held + held_bytes(&whole), secret + SECRET_LAST, 1);
    uint64_t x = whole.total_bytes * prime1;
    for (size_t i = 0; i < LANES; i += 2)
        x += fold(whole.lanes[i] ^ load64(secret + SECRET_MERGE + 8 * i),
                  whole.lanes[i + 1] ^ load64(secret + SECRET_MERGE + 8 * i + 8));
    x = (x ^ x >> 37) * 0x165667919E3779F9;
    return x ^ x >> 32;
}

/* ---- blocks ---- */

void digest_begin(struct digest *digest) {
    xxh3_begin(&digest->block);
    xxh3_begin(&digest->blocks);
}

static void take_block(struct xxh3 *blocks, uint64_t value) {
    value = htobe64(value);
    xxh3_update(blocks, (const uint8_t *)&value, sizeof value);
}

void digest_update(struct digest *digest, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        size_t n = MIN(size, DIGEST_BLOCK_BYTES - digest->block.total_bytes);
        xxh3_update(&digest->block, p, n);
        p += n;
        size -= n;
        if (digest->block.total_bytes == DIGEST_BLOCK_BYTES) {
            take_block(&digest->blocks, xxh3_value(&digest->block));
            xxh3_begin(&digest->block);
        }
    }
}

void digest_hole(struct digest *digest, uint64_t size) {
    static const uint8_t zeros[64 * 1024];
    static const uint64_t zero_block = 0x918780B90550BF34; /* of a whole block of zeros */
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
    struct xxh3 blocks = digest->blocks;
    if (digest->block.total_bytes > 0)
        take_block(&blocks, xxh3_value(&digest->block));
    return xxh3_value(&blocks);
}

uint64_t digest_of(const void *data, size_t size) {
    struct digest digest;
    digest_begin(&digest);
    digest_update(&digest, data, size);
    return digest_value(&digest);
}
