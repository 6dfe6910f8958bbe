/* bare_tls.c PORT TO_PORT CERT: a relay from TLS to plain TCP by OpenSSL and epoll(7) alone, with what it
 * offers for speed: reading ahead, records of 16 KiB joined to pieces of 64 KiB, tickets, buffers given back.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <openssl/ssl.h>

#include "bare.h"

#define EVENTS      64
#define PIECE_BYTES 65536

struct way {
    uint8_t *rest; /* what was not taken at once */
    size_t at, size;
    int ended;
};

struct relay {
    SSL *ssl;
    int from, to; /* to: -1 in the handshake */
    struct way in, out;
};

static uint8_t piece[PIECE_BYTES];

static SSL_CTX *context(const char *cert) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, cert, SSL_FILETYPE_PEM) != 1)
        die(cert);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, PIECE_BYTES);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return ctx;
}

/* The calls of both sides: how much moved, 0 at the end, -1 where it has to wait. */

static ssize_t secure_read(const struct relay *relay, uint8_t *to, size_t size) {
    size_t moved = 0, n;
    while (moved < size && SSL_read_ex(relay->ssl, to + moved, size - moved, &n) == 1)
        moved += n;
    if (moved > 0)
        return (ssize_t)moved;
    int error = SSL_get_error(relay->ssl, 0);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static ssize_t secure_write(const struct relay *relay, const uint8_t *from, size_t size) {
    size_t n;
    return SSL_write_ex(relay->ssl, from, size, &n) == 1 ? (ssize_t)n : -1;
}

static ssize_t plain_read(const struct relay *relay, uint8_t *to, size_t size) {
    return recv(relay->to, to, size, 0);
}

static ssize_t plain_write(const struct relay *relay, const uint8_t *from, size_t size) {
    return send(relay->to, from, size, MSG_NOSIGNAL);
}

static void secure_end(const struct relay *relay) {
    SSL_shutdown(relay->ssl);
    shutdown(relay->from, SHUT_WR);
}

static void plain_end(const struct relay *relay) {
    shutdown(relay->to, SHUT_WR);
}

static void move(struct relay *relay, struct way *way,
                 ssize_t (*get)(const struct relay *, uint8_t *, size_t),
                 ssize_t (*put)(const struct relay *, const uint8_t *, size_t),
                 void (*end)(const struct relay *)) {
    while (!way->ended) {
        const uint8_t *data = way->rest;
        if (!way->rest) {
            ssize_t n = get(relay, piece, sizeof piece);
            if (n < 0)
                return;
            way->ended = n == 0;
            way->at = 0;
            way->size = (size_t)n;
            data = piece;
        }
        while (way->at < way->size) {
            ssize_t n = put(relay, data + way->at, way->size - way->at);
            if (n < 0 && !way->rest) {
                way->size -= way->at;
                way->rest = malloc(way->size);
                memcpy(way->rest, data + way->at, way->size);
                way->at = 0;
            }
            if (n < 0)
                return;
            way->at += (size_t)n;
        }
        free(way->rest);
        way->rest = NULL;
    }
    if (way->ended == 1) {
        end(relay);
        way->ended = 2;
    }
}

static void relay_end(struct relay *relay) {
    SSL_free(relay->ssl);
    close(relay->from);
    if (relay->to >= 0)
        close(relay->to);
    relay->ssl = NULL; /* and not freed: the other descriptor's event may be in this batch */
}

static void watch(int epoll, int fd, struct relay *relay) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = relay};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Whether hands have been shaken. */
static int shake(int epoll, struct relay *relay, const struct sockaddr_in *to) {
    int r = SSL_accept(relay->ssl);
    if (r != 1) {
        if (SSL_get_error(relay->ssl, r) != SSL_ERROR_WANT_READ)
            relay_end(relay);
        return 0;
    }
    relay->to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(relay->to, (const struct sockaddr *)to, sizeof *to) < 0)
        die("connect");
    int on = 1;
    ioctl(relay->to, FIONBIO, &on);
    setsockopt(relay->to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(epoll, relay->to, relay);
    return 1;
}

static void serve(int epoll, struct relay *relay, const struct sockaddr_in *to) {
    if (!relay->ssl || (relay->to < 0 && !shake(epoll, relay, to)))
        return;
    move(relay, &relay->in, secure_read, plain_write, plain_end);
    move(relay, &relay->out, plain_read, secure_write, secure_end);
    if (relay->in.ended && relay->out.ended)
        relay_end(relay);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    struct sockaddr_in to = at_port(argv[2]);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    SSL_CTX *ctx = context(argv[3]);
    int listener = serve_at(argv[1], SOCK_STREAM), epoll = epoll_create1(EPOLL_CLOEXEC), on = 1;
    signal(SIGPIPE, SIG_IGN);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                serve(epoll, events[i].data.ptr, &to);
                continue;
            }
            struct relay *relay = calloc(1, sizeof *relay);
            relay->from = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            relay->to = -1;
            relay->ssl = SSL_new(ctx);
            setsockopt(relay->from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            SSL_set_fd(relay->ssl, relay->from);
            watch(epoll, relay->from, relay);
        }
    }
}
