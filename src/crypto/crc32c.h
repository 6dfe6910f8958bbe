/* crc32c.h: CRC-32C (RFC 3720, 12.1 and B.4), which OpenSSL lacks. */
#ifndef SOCKEYE_CRYPTO_CRC32C_H
#define SOCKEYE_CRYPTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc is that of (0: nothing) with data added. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
