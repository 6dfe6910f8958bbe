/* bare_udp.c PORT [mmsg|joined|single]: UDP echo by recvmmsg(2) and sendmmsg(2); the same with datagrams that
 * the kernel joins and cuts (UDP_GRO, UDP_SEGMENT; udp(7)); or by recvfrom(2) and sendto(2). */
#include <netinet/udp.h>
#include <poll.h>

#include "bare.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 64

static char buffers[BATCH][65536];

static void await(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, -1);
}

static void serve_single(int fd) {
    struct sockaddr_in peer;
    for (;;) {
        socklen_t len = sizeof peer;
        ssize_t n = recvfrom(fd, buffers[0], sizeof buffers[0], 0, (struct sockaddr *)&peer, &len);
        if (n < 0)
            await(fd);
        else
            sendto(fd, buffers[0], (size_t)n, 0, (struct sockaddr *)&peer, len);
    }
}

static void serve_batches(int fd, int joined) {
    static struct sockaddr_in peers[BATCH];
    static struct iovec pieces[BATCH];
    static struct mmsghdr messages[BATCH];
    static union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } controls[BATCH];
    int one = 1;
    if (joined && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0)
        die("UDP_GRO");
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){buffers[i], sizeof buffers[i]};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &peers[i],
                                                  .msg_namelen = sizeof peers[i],
                                                  .msg_iov = &pieces[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = joined ? &controls[i] : NULL,
                                                  .msg_controllen = joined ? sizeof controls[i] : 0};
        }
        int n = recvmmsg(fd, messages, BATCH, 0, NULL);
        if (n < 0) {
            await(fd);
            continue;
        }
        for (int i = 0; i < n; i++) {
            struct msghdr *h = &messages[i].msg_hdr;
            struct cmsghdr *c = CMSG_FIRSTHDR(h);
            pieces[i].iov_len = messages[i].msg_len;
            h->msg_control = NULL;
            h->msg_controllen = 0;
            if (joined && c && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                unsigned short size;
                int told;
                memcpy(&told, CMSG_DATA(c), sizeof told);
                size = (unsigned short)told;
                controls[i].header = (struct cmsghdr){
                    .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
                memcpy(CMSG_DATA(&controls[i].header), &size, sizeof size);
                h->msg_control = &controls[i];
                h->msg_controllen = CMSG_SPACE(sizeof size);
            }
        }
        sendmmsg(fd, messages, (unsigned)n, 0);
    }
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    int fd = serve_at(argv[1], SOCK_DGRAM);
    if (strcmp(argv[2], "single") == 0)
        serve_single(fd);
    serve_batches(fd, strcmp(argv[2], "joined") == 0);
}
