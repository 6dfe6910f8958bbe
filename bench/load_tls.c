/* load_tls.c KIND CONNECTIONS SIZE SECONDS [VERSION]: what load.c is, for relays from TLS to plain TCP, and
 * led as it is. What is sent on comes to a listener of its own. Kinds:
 *
 *     stream    one connection sends as much as it can; what arrives is thrown away in the kernel; bytes
 *     fetch     the other way: what comes from the listener is read from the connection; bytes
 *     full      connects, shakes hands, has SIZE bytes echoed, closes, again; connections
 *     resumed   the same with what the connection before was given to resume by
 *     echo      connections that stay, each of which has had SIZE bytes echoed
 *
 * Blocking calls, and a thread for the listener. VERSION is 12 or 13 (13); the cipher is AES-128-GCM. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "bare.h"

#define PIECE_BYTES 131072
#define NS_PER_S    1e9

static struct {
    const char *kind;
    size_t connections, size;
    double seconds;
} how;

static struct sockaddr_in server;
static int sink;
static atomic_ulong arrived;
static atomic_int over;
static SSL_CTX *ctx;
static SSL_SESSION *given;

static int is(const char *kind) {
    return strcmp(how.kind, kind) == 0;
}

static void fail(const char *what) {
    fprintf(stderr, "%s", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now_s(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / NS_PER_S;
}

/* ---- the other end ---- */

static void swallow(int fd) {
    static uint8_t piece[PIECE_BYTES];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, MSG_TRUNC)) > 0)
        atomic_fetch_add(&arrived, (size_t)n);
}

static void supply(int fd) {
    static uint8_t piece[PIECE_BYTES];
    while (!atomic_load(&over) && send(fd, piece, sizeof piece, MSG_NOSIGNAL) > 0)
        ;
}

static void answer(int fd) {
    uint8_t piece[4096];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        send(fd, piece, (size_t)n, MSG_NOSIGNAL);
}

static void *sink_main(void *of) {
    (void)of;
    for (;;) {
        int fd = accept4(sink, NULL, NULL, SOCK_CLOEXEC), on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (is("stream") ? swallow : is("fetch") ? supply : answer)(fd);
        close(fd);
    }
    return NULL;
}

static int sink_open(void) {
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    pthread_t thread;
    sink = serve_at("0", SOCK_STREAM);
    int off = 0;
    ioctl(sink, FIONBIO, &off);
    getsockname(sink, (struct sockaddr *)&at, &len);
    if (!is("echo"))
        pthread_create(&thread, NULL, sink_main, NULL);
    return ntohs(at.sin_port);
}

/* ---- connections ---- */

static int ticket_new(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(given);
    given = session;
    return 1;
}

static void context_new(int version) {
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ctx, version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256");
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, ticket_new);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

static SSL *dial(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    bool resumes = is("resumed") && given;
    if (resumes)
        SSL_set_session(ssl, given);
    if (SSL_connect(ssl) != 1)
        fail("the handshake failed\n");
    if (SSL_session_reused(ssl) != resumes)
        fail("the server does not resume\n");
    return ssl;
}

static void request(SSL *ssl) {
    uint8_t out[4096] = {0}, in[4096];
    size_t n;
    out[how.size - 1] = '\n'; /* s_server wants lines */
    if (SSL_write_ex(ssl, out, how.size, &n) != 1)
        fail("cannot send\n");
    for (size_t moved = 0; moved < how.size; moved += n)
        if (SSL_read_ex(ssl, in, how.size - moved, &n) != 1)
            fail("no answer\n");
}

static void hang_up(SSL *ssl) {
    SSL_shutdown(ssl);
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
}

/* ---- runs: the units that came ---- */

static double run_connections(double until) {
    double units = 0;
    for (; now_s(CLOCK_MONOTONIC) < until || units == 0; units++) {
        SSL *ssl = dial();
        request(ssl);
        hang_up(ssl);
    }
    return units;
}

static double run_stream(SSL *ssl, double until) {
    static uint8_t piece[PIECE_BYTES];
    size_t before = atomic_load(&arrived), sent = 0, n;
    for (; now_s(CLOCK_MONOTONIC) < until; sent += n)
        if (SSL_write_ex(ssl, piece, sizeof piece, &n) != 1)
            fail("cannot send\n");
    while (atomic_load(&arrived) - before < sent)
        usleep(1000);
    return (double)sent;
}

static double run_fetch(SSL *ssl, double until) {
    static uint8_t piece[PIECE_BYTES];
    size_t got = 0, n;
    for (; now_s(CLOCK_MONOTONIC) < until; got += n)
        if (SSL_read_ex(ssl, piece, sizeof piece, &n) != 1)
            fail("it ended\n");
    return (double)got;
}

/* The first connection, which is not counted. */
static SSL *prepare(void) {
    SSL *ssl = NULL;
    if (is("echo")) {
        for (size_t i = 0; i < how.connections; i++)
            request(dial());
    } else if (is("full") || is("resumed")) {
        ssl = dial();
        request(ssl);
        hang_up(ssl);
    } else {
        ssl = dial();
    }
    return ssl;
}

int main(int argc, char **argv) {
    struct rlimit limit;
    char line[64];
    if (argc < 5)
        return 2;
    how.kind = argv[1];
    how.connections = strtoul(argv[2], NULL, 10);
    how.size = strtoul(argv[3], NULL, 10);
    how.seconds = strtod(argv[4], NULL);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    context_new(argc > 5 ? atoi(argv[5]) : 13);
    printf("sink %d\n", sink_open());
    if (!fgets(line, sizeof line, stdin))
        return 0;
    server = at_port(line);
    SSL *ssl = prepare();
    printf("ready\n");
    while (fgets(line, sizeof line, stdin)) {
        double began = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID),
               until = began + how.seconds;
        double units = is("stream")  ? run_stream(ssl, until)
                       : is("fetch") ? run_fetch(ssl, until)
                                     : run_connections(until);
        printf("{\"units\":%.0f,\"lost\":0,\"wall_s\":%.6f,\"cpu_s\":%.6f,\"p50_us\":0,\"p99_us\":0}\n",
               units, now_s(CLOCK_MONOTONIC) - began, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    }
    return 0;
}
