/* load.h: a load generator: keeps a server busy in one of a few ways, and counts what it gave.
 *
 * It makes plain system calls and does not use the library, so that `sockeye bench` does not measure
 * sockeye by sockeye, and so that it is cheaper than any server: what comes back over TCP is checked once
 * for each connection and discarded in the kernel after that (MSG_TRUNC, tcp(7)). A closed loop: each
 * connection has one request under way, datagrams have a window. One thread; blocking calls. */
#ifndef CMD_LOAD_H
#define CMD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum load_kind {
    LOAD_ECHO,     /* each connection sends size bytes, awaits as many, again */
    LOAD_CONNECT,  /* connects, sends size bytes, awaits as many, closes, again; connections at once */
    LOAD_DATAGRAM, /* sends datagrams of size bytes and awaits each, `window` of them under way */
    LOAD_STREAM,   /* sends as much as it can into each connection, and takes what arrives at its listener */
    LOAD_KIND_MAX
};

struct load_how {
    enum load_kind kind;
    size_t connections; /* at least 1 */
    size_t size;        /* at least 1; of LOAD_STREAM: of each write; of LOAD_DATAGRAM: at most 65507 */
    size_t window;      /* LOAD_DATAGRAM: at least 1; not more than the server's buffer takes */
    bool segments; /* LOAD_DATAGRAM: let the kernel cut and join datagrams (UDP_SEGMENT, UDP_GRO; udp(7)) */
    int64_t duration_ns;
};

struct load_result {
    uint64_t units; /* requests, connections, datagrams that came back; of LOAD_STREAM: bytes */
    uint64_t lost;  /* datagrams that did not come back within 100 ms */
    int64_t wall_ns, cpu_ns;
    int64_t p50_ns, p99_ns; /* of one request's round trip; 0 for datagrams and streams */
};

struct load;

/* "echo", "connect", "datagram", "stream". */
const char *load_kind_name(enum load_kind kind);

/* Makes one; it listens on 127.0.0.1 where its kind is LOAD_STREAM. The caller owns it. Returns 0 or -errno.
 */
int load_new(const struct load_how *how, struct load **ret_load);

/* The port at which a LOAD_STREAM takes what arrives, else 0. */
uint16_t load_sink_port(const struct load *load);

/* Connects to a server and has each connection answer once; of IPv4's 127.0.0.0/8 it takes source addresses
 * in turn, so that ports do not run out. Returns 0 or -errno: -EBADMSG where other bytes came back than were
 * sent, -ETIMEDOUT where none came for ten seconds. */
int load_connect(struct load *load, const struct sockaddr *to, socklen_t to_len);

/* Loads the server for the duration, or until it has given something, and then awaits what is under way. May
 * be called again. Returns 0 or -errno; -ETIMEDOUT where nothing came for ten seconds. */
int load_run(struct load *load, struct load_result *ret_result);

/* Closes its connections and frees it. Returns NULL. */
struct load *load_free(struct load *load);

#endif
