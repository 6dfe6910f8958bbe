/* pool.h: the buffers that io_uring receives into before anybody asks: a provided-buffer ring (since Linux
 * 5.19, io_uring_register_buf_ring(3)).
 *
 * Entry i of the ring is always the same piece of one block of memory, and entries go back to the kernel in
 * the order in which it took them. So what several receives fill lies in one piece and is sent on in one
 * call. That holds where the ring wraps, too: the block is mapped twice, the one behind the other. In two
 * calls the second might wait for the peer's delayed acknowledgement (RFC 1122, 4.2.3.4), which is 40 ms.
 * Where one receive fills an entry with all that it brings, there is nothing to join, and the memory is
 * mapped once. */
#ifndef SOCKEYE_POOL_H
#define SOCKEYE_POOL_H

#include <liburing.h>

#include "base/base.h"

#define POOL_ENTRIES_MAX 512U

/* Bytes that have come: in entries of the pool, or in memory of their own. */
struct piece {
    struct piece *next;
    uint8_t *data;
    size_t size;
    uint32_t count; /* entries; 0: its memory is its own */
    uint32_t users;
};

struct pool {
    struct io_uring_buf_ring *ring; /* NULL: this kernel has none */
    uint8_t *memory;
    uint32_t entries, entry_bytes;
    uint32_t back; /* the entry that goes back next */
    bool joins;
    bool given[POOL_ENTRIES_MAX];
    struct piece pieces[POOL_ENTRIES_MAX]; /* by first entry */
};

static inline size_t pool_bytes(const struct pool *pool) {
    return (size_t)pool->entries * pool->entry_bytes;
}

/* Registers a pool as a buffer group of that number: 0 or -errno. Both sizes are powers of two, and their
 * product a whole number of pages. joins: pieces that follow each other are to be one. */
int pool_open(struct pool *pool, struct io_uring *ring, unsigned short group, uint32_t entries,
              uint32_t entry_bytes, bool joins);
void pool_close(struct pool *pool);

/* The piece for size bytes from that entry on, with one user. */
struct piece *pool_take(struct pool *pool, uint32_t entry, size_t size);
/* Whether a piece is in this pool's memory. */
static inline bool pool_has(const struct pool *pool, const struct piece *piece) {
    return piece >= pool->pieces && piece < pool->pieces + POOL_ENTRIES_MAX;
}
/* Whether a piece of the pool lies right behind another. */
bool pool_follows(const struct pool *pool, const struct piece *first, const struct piece *then);
/* One user less; the last one's entries go back to the kernel. */
void piece_drop(struct pool *pool, struct piece *piece);
/* A copy in memory of its own, or NULL. */
struct piece *piece_copy(const struct piece *piece);

#endif
