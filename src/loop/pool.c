/* pool.c: see pool.h. */
#include "loop/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RING_BYTES  (POOL_ENTRIES * sizeof(struct io_uring_buf))
#define BLOCK_BYTES (RING_BYTES + (size_t)POOL_ENTRIES * POOL_ENTRY_BYTES)

/* The kernel may have shortened an entry, so each is written anew. */
static void give_back(struct pool *pool, uint32_t entry, int offset) {
    io_uring_buf_ring_add(pool->ring, pool->memory + (size_t)entry * POOL_ENTRY_BYTES, POOL_ENTRY_BYTES,
                          (unsigned short)entry, io_uring_buf_ring_mask(POOL_ENTRIES), offset);
}

int pool_open(struct pool *pool, struct io_uring *ring) {
    void *block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return -errno;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)block, .ring_entries = POOL_ENTRIES, .bgid = POOL_GROUP};
    int r = io_uring_register_buf_ring(ring, &reg, 0);
    if (r < 0) {
        munmap(block, BLOCK_BYTES);
        return r;
    }
    pool->ring = block;
    pool->memory = (uint8_t *)block + RING_BYTES;
    io_uring_buf_ring_init(pool->ring);
    for (uint32_t i = 0; i < POOL_ENTRIES; i++)
        give_back(pool, i, (int)i);
    io_uring_buf_ring_advance(pool->ring, POOL_ENTRIES);
    return 0;
}

void pool_close(struct pool *pool) {
    if (pool->ring)
        munmap(pool->ring, BLOCK_BYTES);
}

static struct piece *piece_at(struct pool *pool, uint32_t entry, size_t size) {
    struct piece *piece = &pool->pieces[entry];
    *piece = (struct piece){
        .data = pool->memory + (size_t)entry * POOL_ENTRY_BYTES,
        .size = size,
        .count = (uint32_t)MAX((size + POOL_ENTRY_BYTES - 1) / POOL_ENTRY_BYTES, (size_t)1),
        .users = 1,
    };
    return piece;
}

struct piece *pool_take(struct pool *pool, uint32_t entry, size_t size, struct piece **ret_second) {
    size_t most = (size_t)(POOL_ENTRIES - entry) * POOL_ENTRY_BYTES;
    *ret_second = size > most ? piece_at(pool, 0, size - most) : NULL;
    return piece_at(pool, entry, MIN(size, most));
}

void piece_drop(struct pool *pool, struct piece *piece) {
    if (--piece->users > 0)
        return;
    if (piece->count == 0) {
        free(piece);
        return;
    }
    uint32_t entry = (uint32_t)(piece - pool->pieces);
    for (uint32_t i = 0; i < piece->count; i++)
        pool->given[entry + i] = true;
    int count = 0;
    for (; pool->given[pool->back]; pool->back = (pool->back + 1) % POOL_ENTRIES) {
        pool->given[pool->back] = false;
        give_back(pool, pool->back, count++);
    }
    io_uring_buf_ring_advance(pool->ring, count);
}

struct piece *piece_copy(const struct piece *piece) {
    struct piece *copy = malloc(sizeof *copy + piece->size);
    if (!copy)
        return NULL;
    *copy = (struct piece){.data = (uint8_t *)(copy + 1), .size = piece->size, .users = 1};
    memcpy(copy->data, piece->data, piece->size);
    return copy;
}
