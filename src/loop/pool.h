/* pool.h: the buffers that io_uring receives into before anybody asks: a provided-buffer ring (since Linux
 * 5.19, io_uring_register_buf_ring(3)).
 *
 * Entry i of the ring is always the same piece of one block of memory, and entries go back to the kernel in
 * the order in which it took them. So what one receive fills, a bundle of entries (since Linux 6.10), lies in
 * one piece and is sent on in one call. */
#ifndef SOCKEYE_POOL_H
#define SOCKEYE_POOL_H

#include <liburing.h>

#include "base/base.h"

#define POOL_ENTRIES     512U
#define POOL_ENTRY_BYTES 512U
#define POOL_GROUP       0 /* the buffer group's number */

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
    uint32_t back; /* the entry that goes back next */
    bool given[POOL_ENTRIES];
    struct piece pieces[POOL_ENTRIES]; /* by first entry */
};

/* Registers the pool with a ring: 0 or -errno. */
int pool_open(struct pool *pool, struct io_uring *ring);
void pool_close(struct pool *pool);

/* The piece for size bytes from that entry on, with one user; what goes on past the last entry is
 * *ret_second, else NULL. */
struct piece *pool_take(struct pool *pool, uint32_t entry, size_t size, struct piece **ret_second);
/* One user less; the last one's entries go back to the kernel. */
void piece_drop(struct pool *pool, struct piece *piece);
/* A copy in memory of its own, or NULL. */
struct piece *piece_copy(const struct piece *piece);

#endif
