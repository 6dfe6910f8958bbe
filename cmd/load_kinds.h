/* load_kinds.h: what the kinds of load share: see load.h. */
#ifndef CMD_LOAD_KINDS_H
#define CMD_LOAD_KINDS_H

#include "load.h"

#define LOAD_WAIT_MS 10000
#define LOAD_BYTES   (256 * 1024) /* taken by one receive at most */

/* Round trips by their length: a power of two, and 16 steps within each. */
#define LATENCY_STEPS   16
#define LATENCY_BUCKETS (64 * LATENCY_STEPS)

struct load_conn {
    int fd; /* or -1 */
    size_t to_send, to_recv;
    int64_t sent_ns;
};

struct load {
    struct load_how how;
    struct sockaddr_storage to;
    socklen_t to_len;
    int epoll, sink; /* or -1 */
    bool running;
    size_t busy;             /* connections with a request under way */
    struct load_conn *conns; /* and, of LOAD_STREAM, behind them as many that arrived */
    uint8_t *out, *in;       /* what is sent; room for what is received */
    uint64_t units, lost;
    uint32_t latency[LATENCY_BUCKETS];
};

int64_t load_now(void);

/* A socket to the server, blocking; its source address is chosen by index. Returns it or -errno. */
int load_dial(const struct load *load, int type, size_t index);

void load_latency(struct load *load, int64_t ns);

int load_echo_connect(struct load *load);
int load_echo_run(struct load *load, int64_t deadline_ns);
int load_connect_run(struct load *load, int64_t deadline_ns);
int load_datagram_connect(struct load *load);
int load_datagram_run(struct load *load, int64_t deadline_ns);
int load_stream_connect(struct load *load);
int load_stream_run(struct load *load, int64_t deadline_ns);

#endif
