/* Host and network byte order: the same number, and the bytes that stand in memory for it.
 *
 * Network order is the most significant byte first (RFC 1700, "Data Notation"). On a host that keeps
 * numbers that way htons(3) and its kin change nothing; on the others they swap. */
#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>

#include <sockeye/sockeye.h>

static void print_bytes(const void *memory, size_t size) {
    for (size_t i = 0; i < size; i++)
        printf(" %02x", ((const uint8_t *)memory)[i]);
    putchar('\n');
}

int main(void) {
    uint16_t net16 = htons(1);
    uint32_t net32 = htonl(1);
    uint64_t net64 = htobe64(1);
    struct eye_addr addr;

    printf("this host is %s-endian\n", htons(1) == 1 ? "big" : "little");
    printf("16 bits: %u, in memory", net16);
    print_bytes(&net16, sizeof net16);
    printf("32 bits: %u, in memory", net32);
    print_bytes(&net32, sizeof net32);
    printf("64 bits: %llu, in memory", (unsigned long long)net64);
    print_bytes(&net64, sizeof net64);
    printf("and back: %u %u %llu\n", ntohs(net16), ntohl(net32), (unsigned long long)be64toh(net64));

    /* In a socket address the port is in network order; eye_addr_port gives it back in the host's. */
    if (eye_addr_parse("127.0.0.1:5566", &addr, NULL) < 0)
        return 1;
    printf("port %u, in memory", eye_addr_port(&addr));
    print_bytes(&addr.u.in.sin_port, sizeof addr.u.in.sin_port);
    return 0;
}
