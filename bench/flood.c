/* flood.c: flood INTERFACE PACKETS PER_SECOND SIZE: sends Ethernet frames of UDP, of so many bytes each, by
 * sendmmsg(2) on a socket of packet(7), at a steady rate: what a wire has at its worst for who watches it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH     64
#define FRAME_MIN 42
#define FRAME_MAX 1514

static uint8_t frames[BATCH][FRAME_MAX];

/* A frame whose port is its number: sixty-four flows. */
static void frame_make(uint8_t *frame, size_t size, unsigned number) {
    static const uint8_t head[] = {2, 0,  0,  0, 0, 1,  2, 0, 0, 0,  0, 2, 8, 0, 0x45, 0, 0, 0, 0, 7, 64,
                                   0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0,    0, 9, 0, 0, 0, 0};
    uint16_t total = htons((uint16_t)(size - 14)), len = htons((uint16_t)(size - 34)),
             port = htons((uint16_t)(1024 + number));
    uint32_t sum = 0;
    memcpy(frame, head, sizeof head);
    memcpy(frame + 16, &total, 2);
    for (size_t i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = htons((uint16_t) ~(sum + (sum >> 16)));
    memcpy(frame + 24, &check, 2);
    memcpy(frame + 34, &port, 2);
    memcpy(frame + 38, &len, 2);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    size_t size = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (fd < 0 || size < FRAME_MIN || size > FRAME_MAX || !(to.sll_ifindex = (int)if_nametoindex(argv[1]))) {
        fprintf(stderr, "flood: INTERFACE PACKETS PER_SECOND SIZE, with CAP_NET_RAW\n");
        return 1;
    }
    long count = strtol(argv[2], NULL, 10), sent = 0;
    double rate = strtod(argv[3], NULL), begin = now();
    for (unsigned i = 0; i < BATCH; i++) {
        frame_make(frames[i], size, i);
        parts[i] = (struct iovec){frames[i], size};
        messages[i].msg_hdr =
            (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    while (sent < count) {
        double due = begin + (double)sent / rate - now();
        if (due > 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)(due * 1e9) % 1000000000}, NULL);
        int n = sendmmsg(fd, messages, count - sent < BATCH ? (unsigned)(count - sent) : BATCH, 0);
        if (n < 0 && errno != ENOBUFS && errno != EINTR) {
            perror("flood");
            return 1;
        }
        sent += n > 0 ? n : 0;
    }
    return 0;
}
