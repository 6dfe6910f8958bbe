/* bare.h: what the loops in this folder share. They do only the system calls that the work needs: the limit
 * that sockeye and its peers are measured against. Each serves until it is killed. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline struct sockaddr_in at_port(const char *port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)atoi(port))};
}

/* A socket of 127.0.0.1:PORT; one of TCP listens. */
static inline int serve_at(const char *port, int type) {
    struct sockaddr_in at = at_port(port);
    int one = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("bind");
    if (type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0)
        die("listen");
    return fd;
}

/* What is freed is kept: giving pages back and having them anew would cost a peer that allocates each answer
 * more than everything else (mallopt(3)). */
static inline void keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

#endif
