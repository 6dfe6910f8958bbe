/* digest.h: the digest of a file's content, at the speed of memory and cheaper than that over holes.
 *
 * It finds damage: a bad disk, bad memory, a file that changed while it was read, a wrong part to resume
 * from. It is no signature. Whoever can change the bytes on the way can change a digest on the way, however
 * strong, so against such a peer TLS is the answer and its tags do the work. So the hash is not a
 * cryptographic one: XXH64 runs at ten times SHA-256's speed, and the reading is what costs then.
 *
 * The content is cut into blocks of 1 MiB, the last one shorter and, in an empty file, none. Each block has
 * its XXH64 (xxHash fast digest algorithm, specification 0.1.1, seed 0), and the file's is the XXH64 of
 * those, each as eight bytes in big-endian order. A block of zeros has a known hash, so a hole costs eight
 * bytes for each MiB. */
#ifndef SOCKEYE_DIGEST_H
#define SOCKEYE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BLOCK_BYTES (1024 * 1024)

struct xxh64 {
    uint64_t lanes[4];
    uint64_t total_bytes;
    uint8_t rest[32]; /* what does not fill a stripe yet */
};

void xxh64_begin(struct xxh64 *hash);
void xxh64_update(struct xxh64 *hash, const void *data, size_t size);
/* May be asked in between. */
uint64_t xxh64_value(const struct xxh64 *hash);

struct digest {
    struct xxh64 block, blocks;
};

void digest_begin(struct digest *digest);
void digest_update(struct digest *digest, const void *data, size_t size);
/* The same as size bytes of zero. */
void digest_hole(struct digest *digest, uint64_t size);
uint64_t digest_value(const struct digest *digest);

#endif
