/* digest.h: the digest of a file's content, cheaper than reading it and cheaper than that over holes.
 *
 * It finds damage: a bad disk, bad memory, a file that changed while it was read, a wrong part to resume
 * from. It is no signature. Whoever can change the bytes on the way can change a digest on the way, however
 * strong, so against such a peer TLS is the answer and its tags do the work. So the hash is not a
 * cryptographic one: XXH3 in AVX2 runs at thirty times SHA-256's speed, and the reading is what costs then.
 *
 * The content is cut into blocks of 1 MiB, the last one shorter and, in an empty file, none. Each block has
 * its XXH3 (64 bits, seed 0, the secret that the specification has as default), and the file's is the XXH3 of
 * those, each as eight bytes in big-endian order. What is shorter than 256 bytes is filled up with zeros to
 * that, so one of the algorithm's five forms, the one for long input, is all there is; how long a file is the
 * transfer says beside it. A block of zeros has a known hash, so a hole costs eight bytes for each MiB. */
#ifndef SOCKEYE_DIGEST_H
#define SOCKEYE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BLOCK_BYTES (1024 * 1024)
#define XXH3_STRIPE_BYTES  64
#define XXH3_LANES         8

struct xxh3 {
    uint64_t lanes[XXH3_LANES];
    uint64_t total_bytes;
    /* The stripe that was mixed in last, and after it the one that follows: up to a whole one, since the last
     * of all is treated otherwise. */
    uint8_t held[2 * XXH3_STRIPE_BYTES];
};

struct digest {
    struct xxh3 block, blocks;
};

void digest_begin(struct digest *digest);
void digest_update(struct digest *digest, const void *data, size_t size);
/* The same as size bytes of zero. */
void digest_hole(struct digest *digest, uint64_t size);
/* May be asked in between. */
uint64_t digest_value(const struct digest *digest);
/* Of these bytes. */
uint64_t digest_of(const void *data, size_t size);

/* Set by a test, to take the way of processors without AVX2. */
extern bool digest_without_vectors;

#endif
