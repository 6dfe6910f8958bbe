/* recipes.c: what `sockeye tour` shows, a function for each recipe of the cookbook. Servers are told by
 * their events when they listen and where; nothing is given time instead. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/addr.h>
#include <sockeye/loop.h>
#include <sockeye/tls.h>

#include "recipes.h"
#include "step.h"

#define FILE_BYTES (8 * 1024 * 1024)

static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static enum tour_mark echo_at(struct tour_step *step, const char *endpoint) {
    char address[EYE_ADDR_TEXT_MAX];
    struct target target;
    if (!step_serve(step, address, sizeof address, SOCKEYE("echo", endpoint)))
        return TOUR_FAILED;
    target_at(&target, address);
    return step_talk(step, &target) ? TOUR_OK : TOUR_FAILED;
}

/* ---- the recipes ---- */

static bool resolves(const char *name) {
    struct eye_addrs addrs;
    if (eye_resolve(name, NULL, NULL, &addrs, NULL) < 0)
        return false;
    eye_addrs_done(&addrs);
    return true;
}

static enum tour_mark host_name(struct tour_step *step) {
    char own[256] = "";
    gethostname(own, sizeof own - 1);
    return step_shown(step, resolves(own) ? 0 : 3, WANTS("name", "localhost", "127.0.0.1"), SOCKEYE("host"));
}

static enum tour_mark names(struct tour_step *step) {
    return step_shown(step, 3,
                      WANTS("AF_INET   192.0.2.244", "AF_INET6  2001:db8:f00d::1:d", "10.0.0.256",
                            "fe80::1%lo", "::ffff:192.0.2.128", "192.0.2.123", "192.0.2.214"),
                      SOCKEYE("resolve", "192.0.2.244", "2001:db8:f00d::1:d", "10.0.0.256", "fe80::1%lo",
                              "::ffff:192.0.2.128", "0xc000027b", "3221226198"));
}

static enum tour_mark byte_order(struct tour_step *step) {
    return step_shown(step, 0, WANTS("16777216", "on a big-endian host"), SOCKEYE("convert", "1"));
}

static enum tour_mark dotted_quad(struct tour_step *step) {
    return step_shown(step, 0, WANTS("7f000001", "127.0.0.1"), SOCKEYE("convert", "127.0.0.1", "7f000001"));
}

static enum tour_mark mac(struct tour_step *step) {
    return step_shown(step, 0, WANTS("0011323cc30b", "unicast", "universal"),
                      SOCKEYE("convert", "00:11:32:3c:c3:0b"));
}

static enum tour_mark echo_ipv4(struct tour_step *step) {
    return echo_at(step, "tcp:127.0.0.1:0");
}

static enum tour_mark echo_ipv6(struct tour_step *step) {
    return has_ipv6() ? echo_at(step, "tcp:[::1]:0")
                      : step_marked(step, TOUR_SKIPPED, "this host has no IPv6");
}

static enum tour_mark echo_both(struct tour_step *step) {
    static const char *const hosts[] = {"127.0.0.1", "::1"}, *const seen[] = {"[::ffff:127.0.0.1]:",
                                                                              "[::1]:"};
    char address[EYE_ADDR_TEXT_MAX], event[64];
    struct target target;
    struct child *server;

    if (!has_ipv6())
        return step_marked(step, TOUR_SKIPPED, "this host has no IPv6");
    server = step_serve(step, address, sizeof address, SOCKEYE("echo", "tcp:[::]:0"));
    if (!server)
        return TOUR_FAILED;
    target_at(&target, address);
    for (size_t i = 0; i < 2; i++) {
        snprintf(target.host, sizeof target.host, "%s", hosts[i]);
        if (!step_talk(step, &target))
            return TOUR_FAILED;
        snprintf(event, sizeof event, "\"peer\":\"%s", seen[i]);
        if (!child_await(&server->events, event))
            return step_marked(step, TOUR_FAILED, "the peer was not seen as %s", seen[i]);
        fprintf(step->log, "(the server sees it as %sPORT)\n", seen[i]);
    }
    return TOUR_OK;
}

static enum tour_mark framework(struct tour_step *step) {
    return step_marked(step, TOUR_SKIPPED, "a call of the library, eye_serve: see examples/");
}

/* A server without a certificate of its own, and what its clients say to verify it. */
static struct child *tls_serve(struct tour_step *step, const char *options, char *ret_client, size_t size) {
    static const char key[] = "\"pin\":\"";
    char address[EYE_ADDR_TEXT_MAX], text[128];
    snprintf(text, sizeof text, "tls:127.0.0.1:0%.100s", options);
    struct child *server = step_serve(step, address, sizeof address, SOCKEYE("echo", text));
    const char *pin = server ? strstr(server->events.data, key) : NULL;
    if (pin)
        snprintf(ret_client, size, "tls:%.100s,pin=%.71s", address, pin + sizeof key - 1);
    else if (server)
        step_marked(step, TOUR_FAILED, "the server has no pin");
    return pin ? server : NULL;
}

static struct child *tls_client(struct tour_step *step, const char *endpoint) {
    return step_start(step, SOCKEYE("connect", endpoint));
}

static bool tls_missing(struct tour_step *step) {
    return !eye_tls_library() &&
           step_marked(step, TOUR_SKIPPED, "this build has no TLS library") == TOUR_SKIPPED;
}

static enum tour_mark tls_echo(struct tour_step *step) {
    char endpoint[256];
    if (tls_missing(step))
        return TOUR_SKIPPED;
    struct child *server = tls_serve(step, "", endpoint, sizeof endpoint);
    struct child *client = server ? tls_client(step, endpoint) : NULL;
    if (!client || !step_says(step, client, "Hello World\n") || !step_says(step, client, "and again\n") ||
        !step_ends(step, client))
        return TOUR_FAILED;
    *strchr(endpoint, ',') = '\0'; /* without the pin nobody vouches for it */
    return step_shown(step, 6, WANTS("self-signed"), SOCKEYE("connect", endpoint));
}

static enum tour_mark tls_ciphers(struct tour_step *step) {
    static const char cipher[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
    char endpoint[256];
    if (tls_missing(step))
        return TOUR_SKIPPED;
    struct child *server =
        tls_serve(step, ",ciphers=ECDHE-ECDSA-AES128-GCM-SHA256", endpoint, sizeof endpoint);
    struct child *client = server ? tls_client(step, endpoint) : NULL;
    if (!client || !step_says(step, client, "Hello World\n") || !step_ends(step, client))
        return TOUR_FAILED;
    if (!child_await(&server->events, cipher))
        return step_marked(step, TOUR_FAILED, "another cipher was used");
    fprintf(step->log, "%s was used\n", cipher);
    return TOUR_OK;
}

static enum tour_mark tls_many(struct tour_step *step) {
    char endpoint[256], plain[256];
    if (tls_missing(step))
        return TOUR_SKIPPED;
    if (!tls_serve(step, "", endpoint, sizeof endpoint))
        return TOUR_FAILED;
    snprintf(plain, sizeof plain, "tcp:%.*s", (int)strcspn(endpoint + 4, ","), endpoint + 4);
    /* One that stays silent in the middle of its handshake holds nobody up. */
    struct child *silent = tls_client(step, plain);
    struct child *one = silent ? tls_client(step, endpoint) : NULL,
                 *two = one ? tls_client(step, endpoint) : NULL;
    return two && step_says(step, one, "one\n") && step_says(step, two, "two\n") &&
                   step_says(step, one, "three\n") && step_ends(step, two) && step_ends(step, one)
               ? TOUR_OK
               : TOUR_FAILED;
}

static enum tour_mark udp_echo(struct tour_step *step) {
    char address[EYE_ADDR_TEXT_MAX], endpoint[EYE_ADDR_TEXT_MAX + 8];
    struct child *peers[2];

    if (!step_serve(step, address, sizeof address, SOCKEYE("echo", "udp:127.0.0.1:0")))
        return TOUR_FAILED;
    snprintf(endpoint, sizeof endpoint, "udp:%s", address);
    for (int i = 0; i < 2; i++) {
        peers[i] = step_start(step, SOCKEYE("connect", endpoint, "--eof", "close"));
        if (!peers[i])
            return TOUR_FAILED;
    }
    return step_says(step, peers[0], "one\n") && step_says(step, peers[1], "two\n") &&
                   step_says(step, peers[0], "three\n") && step_ends(step, peers[0]) &&
                   step_ends(step, peers[1])
               ? TOUR_OK
               : TOUR_FAILED;
}

static enum tour_mark udp_framework(struct tour_step *step) {
    return step_marked(step, TOUR_SKIPPED, "a call of the library, eye_serve: see examples/");
}

/* What a sender sends three times comes to somebody who listens. */
static enum tour_mark udp_sent(struct tour_step *step, const char *listens, const char *to,
                               const char *options) {
    char address[EYE_ADDR_TEXT_MAX], endpoint[EYE_ADDR_TEXT_MAX + 16];
    struct child *listener = step_serve(step, address, sizeof address, SOCKEYE("listen", listens));
    struct target target;
    enum tour_mark mark;

    if (!listener)
        return TOUR_FAILED;
    target_at(&target, address);
    snprintf(endpoint, sizeof endpoint, "udp:%s:%s%s", to, target.port, options);
    mark = step_shown(step, 0, WANTS(""),
                      SOCKEYE("connect", endpoint, "--send", "Hello {n} at {time}\\n", "--every", "100ms",
                              "--count", "3", "--eof", "close"));
    if (mark == TOUR_OK && !child_await(&listener->out, "Hello 3 at"))
        mark = step_marked(step, TOUR_FAILED, "not all of them came");
    fputs(listener->out.data, step->log);
    return mark;
}

static enum tour_mark udp_sender(struct tour_step *step) {
    return udp_sent(step, "udp:127.0.0.1:0", "127.0.0.1", "");
}

static enum tour_mark udp_broadcast(struct tour_step *step) {
    enum tour_mark mark = step_shown(step, 4, WANTS("needs the option broadcast"),
                                     SOCKEYE("connect", "udp:127.255.255.255:5566", "--send", "x"));
    return mark == TOUR_OK ? udp_sent(step, "udp:0.0.0.0:0", "127.255.255.255", ",broadcast") : mark;
}

static enum tour_mark unix_socket(struct tour_step *step) {
    char address[EYE_ADDR_TEXT_MAX], endpoint[160];
    struct target target = {0};
    struct child *server;
    int status;

    snprintf(target.path, sizeof target.path, "%s/echo", step->folder);
    snprintf(endpoint, sizeof endpoint, "unix:%s", target.path);
    server = step_serve(step, address, sizeof address, SOCKEYE("echo", endpoint));
    if (!server || !step_talk(step, &target))
        return TOUR_FAILED;
    kill(server->pid, SIGTERM);
    status = child_wait(server);
    if (status != 128 + SIGTERM || access(target.path, F_OK) == 0)
        return step_marked(step, TOUR_FAILED, "exit status %d, or its file was left", status);
    fputs("(ended by SIGTERM, and the socket's file is gone)\n", step->log);
    return TOUR_OK;
}

static enum tour_mark pair_duplex(struct tour_step *step) {
    return step_shown(step, 0, WANTS("child ---> parent: Hello Parent", "parent ---> child: Hello Parent"),
                      SOCKEYE("pair", "echo Hello Parent; read x; echo \"parent ---> child: $x\" >&2",
                              "read x; echo \"child ---> parent: $x\" >&2; echo \"$x\""));
}

static enum tour_mark pair_dialogue(struct tour_step *step) {
    return step_shown(
        step, 0, WANTS("Hi! Parent! 100\n", "that was the end\n"),
        SOCKEYE("pair",
                "until [ \"$x\" = \"Hi! Parent! 100\" ]; do echo \"Hi! Child! $((i += 1))\"; read x; done; "
                "echo \"$x\" >&2",
                "while read x; do echo \"Hi! Parent! ${x##* }\"; done; echo that was the end >&2"));
}

/* Two peers at once: each speaks while the other is connected. */
static enum tour_mark echo_engine(struct tour_step *step, const char *engine) {
    char address[EYE_ADDR_TEXT_MAX], event[64];
    struct child *server, *a, *b;
    struct target target;

    server =
        step_serve(step, address, sizeof address, SOCKEYE("echo", "tcp:127.0.0.1:0", "--engine", engine));
    if (!server)
        return TOUR_FAILED;
    target_at(&target, address);
    a = step_peer(step, STEP_DIALS, &target, CHILD_PIPE, CHILD_PIPE);
    b = step_peer(step, STEP_DIALS, &target, CHILD_PIPE, CHILD_PIPE);
    if (!a || !b || !step_says(step, a, "one\n") || !step_says(step, b, "two\n") ||
        !step_says(step, a, "three\n") || !step_ends(step, a) || !step_says(step, b, "four\n") ||
        !step_ends(step, b))
        return TOUR_FAILED;
    snprintf(event, sizeof event, "\"engine\":\"%s", strcmp(engine, "auto") == 0 ? "" : engine);
    return strstr(server->events.data, event)
               ? TOUR_OK
               : step_marked(step, TOUR_FAILED, "its event names no such engine");
}

static enum tour_mark echo_thread(struct tour_step *step) {
    return echo_engine(step, "thread");
}

static enum tour_mark echo_select(struct tour_step *step) {
    return echo_engine(step, "select");
}

static enum tour_mark echo_poll(struct tour_step *step) {
    return echo_engine(step, "poll");
}

static enum tour_mark echo_epoll(struct tour_step *step) {
    return echo_engine(step, "epoll");
}

/* Where this system has none, the command ends and says so. */
static enum tour_mark echo_kqueue(struct tour_step *step) {
    const struct eye_loop_opts opts = {.engine = "kqueue"};
    eye_loop *loop;
    if (eye_loop_new(&opts, &loop, NULL) < 0)
        return step_shown(step, 8, WANTS("kqueue"), SOCKEYE("echo", "tcp:127.0.0.1:0", "--engine", "kqueue"));
    eye_loop_free(loop);
    return echo_engine(step, "kqueue");
}

static enum tour_mark echo_auto(struct tour_step *step) {
    return echo_engine(step, "auto");
}

/* ---- a relay that carries a file ---- */

/* Bytes that look like nothing in particular, the same each time (xorshift64). */
static bool write_data(int fd, size_t size) {
    uint64_t state = 88172645463325252u, block[512];
    for (size_t done = 0; done < size; done += sizeof block) {
        for (size_t i = 0; i < sizeof block / sizeof block[0]; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block[i] = state;
        }
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block)
            return false;
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

static bool same_data(int a, int b) {
    char piece_a[4096], piece_b[sizeof piece_a];
    ssize_t n, at = 0;
    do {
        n = pread(a, piece_a, sizeof piece_a, at);
        if (n < 0 || pread(b, piece_b, sizeof piece_b, at) != n || memcmp(piece_a, piece_b, (size_t)n) != 0)
            return false;
        at += n;
    } while (n > 0);
    return true;
}

/* Other people's servers tell nobody when they listen, but the kernel does: unix(7), /proc/net/unix. */
static bool unix_listens(const char *path) {
    static const struct timespec pause = {.tv_nsec = 10000000};
    char line[256];
    bool found = false;
    for (int tries = 0; tries < CHILD_WAIT_MS / 10 && !found && !child_signal(); tries++) {
        FILE *sockets = fopen("/proc/net/unix", "re");
        while (sockets && !found && fgets(line, sizeof line, sockets))
            found = strstr(line, path) && strstr(line, " 00010000 "); /* __SO_ACCEPTCON */
        if (sockets)
            fclose(sockets);
        if (!found)
            nanosleep(&pause, NULL);
    }
    return found;
}

static enum tour_mark carry(struct tour_step *step, int sent, int received, int nothing) {
    char address[EYE_ADDR_TEXT_MAX], endpoint[160], names[2][160];
    struct target to = {0}, from;
    struct child *relay, *sender, *receiver;
    int status;

    snprintf(to.path, sizeof to.path, "%s/sink", step->folder);
    snprintf(endpoint, sizeof endpoint, "unix:%s", to.path);
    receiver = step_peer(step, STEP_LISTENS, &to, nothing, received);
    if (!receiver)
        return TOUR_FAILED;
    if (!unix_listens(to.path))
        return step_marked(step, TOUR_FAILED, "the receiver does not listen");
    relay =
        step_serve(step, address, sizeof address, SOCKEYE("relay", "--once", "tcp:127.0.0.1:0", endpoint));
    if (!relay)
        return TOUR_FAILED;
    target_at(&from, address);
    sender = step_peer(step, STEP_DIALS, &from, sent, CHILD_PIPE);
    if (!sender || (status = child_wait(sender)) != 0)
        return sender ? step_marked(step, TOUR_FAILED, "the sender ended with %d", status) : TOUR_FAILED;
    status = child_wait(relay);
    if (status != 0 || (status = child_wait(receiver)) != 0)
        return step_marked(step, TOUR_FAILED, "the relay or the receiver ended with %d", status);
    if (!same_data(sent, received))
        return step_marked(step, TOUR_FAILED, "what came is not what was sent");
    for (int i = 0; i < 2; i++)
        snprintf(names[i], sizeof names[i], "%s/%s", step->folder, i == 0 ? "sent" : "received");
    if (child_installed("sha256sum"))
        return step_shown(
            step, 0, WANTS("/sent", "/received"),
            &(const struct child_how){{"sha256sum", names[0], names[1]}, .in = nothing, .out = CHILD_PIPE});
    fprintf(step->log, "(the %d bytes that came are those that were sent)\n", FILE_BYTES);
    return TOUR_OK;
}

static int open_in(const struct tour_step *step, const char *name) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", step->folder, name);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static enum tour_mark relay_file(struct tour_step *step) {
    int sent = open_in(step, "sent"), received = open_in(step, "received");
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    enum tour_mark mark;

    if (sent < 0 || received < 0 || nothing < 0 || !write_data(sent, FILE_BYTES))
        mark = step_marked(step, TOUR_FAILED, "no file to send: %s", eye_strerror(-errno));
    else
        mark = carry(step, sent, received, nothing);
    close(sent);
    close(received);
    close(nothing);
    return mark;
}

static bool same_content(int a, int b) {
    static char data[2][64 * 1024];
    for (off_t at = 0;;) {
        ssize_t n = pread(a, data[0], sizeof data[0], at);
        if (n < 0 || pread(b, data[1], sizeof data[1], at) != n || memcmp(data[0], data[1], (size_t)n) != 0)
            return false;
        if (n == 0)
            return true;
        at += n;
    }
}

/* Makes a file of random bytes, lets `run` carry it to another, and compares the two. */
static enum tour_mark carried(struct tour_step *step, const char *to,
                              enum tour_mark (*run)(struct tour_step *step, const char *from)) {
    char from[160];
    int sent = open_in(step, "sent"), got = -1;
    enum tour_mark mark;

    snprintf(from, sizeof from, "%s/sent", step->folder);
    if (sent < 0 || !write_data(sent, FILE_BYTES))
        mark = step_marked(step, TOUR_FAILED, "no file to send: %s", eye_strerror(-errno));
    else
        mark = run(step, from);
    if (mark == TOUR_OK) {
        char path[224];
        snprintf(path, sizeof path, "%s/%s", step->folder, to);
        got = open(path, O_RDONLY | O_CLOEXEC);
        if (got < 0 || !same_content(sent, got))
            mark = step_marked(step, TOUR_FAILED, "%s is not what was sent", to);
        else
            fprintf(step->log, "(the %d bytes are the same)\n", FILE_BYTES);
    }
    close(sent);
    close(got);
    return mark;
}

static enum tour_mark copy_run(struct tour_step *step, const char *from) {
    char to[160];
    snprintf(to, sizeof to, "%s/copy", step->folder);
    return step_shown(step, 0, WANTS("1 file, 8388608 bytes", "  by "), SOCKEYE("copy", "-v", from, to));
}

static enum tour_mark copy_file(struct tour_step *step) {
    return carried(step, "copy", copy_run);
}

static enum tour_mark send_run(struct tour_step *step, const char *from) {
    char address[EYE_ADDR_TEXT_MAX], inbox[160];
    snprintf(inbox, sizeof inbox, "%s/inbox", step->folder);
    if (mkdir(inbox, 0700) < 0)
        return step_marked(step, TOUR_FAILED, "no folder: %s", eye_strerror(-errno));
    struct child *receiver =
        step_serve(step, address, sizeof address, SOCKEYE("recv", "--listen", "tcp:127.0.0.1:0", inbox));
    if (!receiver)
        return TOUR_FAILED;
    return step_shown(step, 0, WANTS("sent: 8388608 bytes"), SOCKEYE("send", "-v", from, address));
}

static enum tour_mark send_file(struct tour_step *step) {
    return carried(step, "inbox/sent", send_run);
}

const struct tour_recipe tour_recipes[] = {
    {1, "host name", host_name},
    {2, "family and address from a string", names},
    {3, "host and network byte order", byte_order},
    {4, "dotted quad and bytes", dotted_quad},
    {5, "MAC and bytes", mac},
    {6, "TCP echo", echo_ipv4},
    {7, "TCP echo on IPv6", echo_ipv6},
    {8, "one socket for both families", echo_both},
    {9, "TCP echo by a server framework", framework},
    {10, "TLS echo", tls_echo},
    {11, "TLS with chosen ciphers", tls_ciphers},
    {12, "UDP echo", udp_echo},
    {13, "UDP echo by a server framework", udp_framework},
    {14, "UDP sender", udp_sender},
    {15, "UDP broadcast", udp_broadcast},
    {16, "Unix domain socket", unix_socket},
    {17, "duplex between two processes", pair_duplex},
    {18, "asynchronous TCP by threads", echo_thread},
    {19, "asynchronous TCP by select", echo_select},
    {20, "asynchronous TCP by poll", echo_poll},
    {21, "asynchronous TCP by epoll", echo_epoll},
    {22, "asynchronous TCP by kqueue", echo_kqueue},
    {23, "a portable selectors API", echo_auto},
    {24, "non-blocking TLS on a loop", tls_many},
    {25, "socketpair as a pipe", pair_dialogue},
    {26, "copy with sendfile", copy_file},
    {27, "a file through a socket with sendfile", send_file},
    {28, "SHA-256 by AF_ALG", crypto_sha256},
    {29, "AES-CBC by AF_ALG", crypto_cbc},
    {30, "AES-GCM by AF_ALG", crypto_gcm},
    {31, "AES-GCM of a file", crypto_file},
    {32, "AF_ALG against a user-space library", crypto_bench},
    {33, "IP sniffer", sniff_ip},
    {34, "TCP sniffer", sniff_tcp},
    {35, "ARP sniffer", sniff_arp},
    {0, "a relay carries a file between two peers", relay_file},
    {0, NULL, NULL},
};
