/* pool.c: see pool.h. */
#include "loop/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The kernel may have shortened an entry, so each is written anew. */
static void give_back(struct pool *pool, uint32_t entry, int offset) {
    io_uring_buf_ring_add(pool->ring, pool->memory + (size_t)entry * pool->entry_bytes, pool->entry_bytes,
                          (unsigned short)entry, io_uring_buf_ring_mask(pool->entries), offset);
}

static size_t ring_bytes(const struct pool *pool) {
    return pool->entries * sizeof(struct io_uring_buf);
}

static void *map(void *at, size_t bytes, int prot, int flags) {
    return mmap(at, bytes, prot, flags | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/* A block of memory that is mapped twice, or NULL: of no length, shared pages are not moved (mremap(2)). */
static void *map_twice(size_t bytes) {
    uint8_t *at = map(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE);
    if (at == MAP_FAILED)
        return NULL;
    if (map(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED &&
        mremap(at, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at + bytes) != MAP_FAILED)
        return at;
    munmap(at, 2 * bytes);
    return NULL;
}

/* In huge pages where there are some: to copy into 4 MiB of small ones costs a tenth more of a stream's whole
 * way through, where a virtual machine's page tables are two deep. */
static void *map_once(size_t bytes) {
    void *at = map(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, bytes, MADV_HUGEPAGE);
    return at;
}

static int pool_map(struct pool *pool) {
    void *ring = map(NULL, ring_bytes(pool), PROT_READ | PROT_WRITE, MAP_PRIVATE);
    if (ring == MAP_FAILED)
        return -errno;
    pool->memory = pool->joins ? map_twice(pool_bytes(pool)) : map_once(pool_bytes(pool));
    if (!pool->memory) {
        munmap(ring, ring_bytes(pool));
        return -ENOMEM;
    }
    pool->ring = ring;
    return 0;
}

int pool_open(struct pool *pool, struct io_uring *ring, unsigned short group, uint32_t entries,
              uint32_t entry_bytes, bool joins) {
    pool->joins = joins;
    pool->entries = entries;
    pool->entry_bytes = entry_bytes;
    int r = pool_map(pool);
    if (r < 0)
        return r;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)pool->ring, .ring_entries = pool->entries, .bgid = group};
    r = io_uring_register_buf_ring(ring, &reg, 0);
    if (r < 0) {
        pool_close(pool);
        return r;
    }
    io_uring_buf_ring_init(pool->ring);
    for (uint32_t i = 0; i < pool->entries; i++)
        give_back(pool, i, (int)i);
    io_uring_buf_ring_advance(pool->ring, (int)pool->entries);
    return 0;
}

void pool_close(struct pool *pool) {
    if (!pool->ring)
        return;
    munmap(pool->ring, ring_bytes(pool));
    munmap(pool->memory, (pool->joins ? 2 : 1) * pool_bytes(pool));
    pool->ring = NULL;
}

struct piece *pool_take(struct pool *pool, uint32_t entry, size_t size) {
    struct piece *piece = &pool->pieces[entry];
    *piece = (struct piece){
        .data = pool->memory + (size_t)entry * pool->entry_bytes,
        .size = size,
        .count = (uint32_t)MAX((size + pool->entry_bytes - 1) / pool->entry_bytes, (size_t)1),
        .users = 1,
    };
    return piece;
}

bool pool_follows(const struct pool *pool, const struct piece *first, const struct piece *then) {
    const uint8_t *end = first->data + first->size;
    return pool->joins && pool_has(pool, first) &&
           (end == then->data || end == then->data + pool_bytes(pool));
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
        pool->given[(entry + i) % pool->entries] = true;
    int count = 0;
    for (; pool->given[pool->back]; pool->back = (pool->back + 1) % pool->entries) {
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
