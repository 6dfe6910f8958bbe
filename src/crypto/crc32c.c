/* crc32c.c: the processor's own instruction where it has one (SSE 4.2), else a table, a byte at a time. */
#include "crypto/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78U /* 0x1edc6f41 with its bits reversed */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[byte] = crc;
    }
}

static uint32_t by_table(uint32_t crc, const uint8_t *data, size_t size) {
    pthread_once(&table_once, table_fill);
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *data,
                                                                 size_t size) {
    uint64_t wide = crc, word;
    for (; size >= sizeof word; size -= sizeof word, data += sizeof word) {
        memcpy(&word, data, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--)
        crc = __builtin_ia32_crc32qi(crc, *data++);
    return crc;
}

static bool has_instruction(void) {
    return __builtin_cpu_supports("sse4.2");
}
#else
#define by_instruction by_table
static bool has_instruction(void) {
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return ~(has_instruction() ? by_instruction : by_table)(~crc, data, size);
}
