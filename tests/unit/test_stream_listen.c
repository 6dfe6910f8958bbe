/* test_stream_listen.c: listening: both families, every address of a name, and Unix sockets with what may
 * stand in their way. The resolver is ours: the linker's --wrap puts it before getaddrinfo(3). */
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/stat.h>

#include "suite.h"

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found);

/* "two.test" has two addresses. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found) {
    if (!host || (hints->ai_flags & AI_NUMERICHOST) || strcmp(host, "two.test") != 0)
        return __real_getaddrinfo(host, port, hints, ret_found);
    int r = __real_getaddrinfo("127.0.0.1", port, hints, ret_found);
    return r ? r : __real_getaddrinfo("127.0.0.2", port, hints, &(*ret_found)->ai_next);
}

static eye_listener *listener_new(eye_loop *loop, struct eye_endpoint *e) {
    eye_listener *listener = NULL;
    struct eye_err err = {0};
    if (!CHECK_INT(eye_listen(loop, e, &listener, 1, &err), 1)) {
        fprintf(stderr, "# %s\n", err.text);
        exit(1);
    }
    return listener;
}

static void listener_drop(eye_listener *listener, struct eye_endpoint *e) {
    eye_listener_free(listener);
    eye_endpoint_done(e);
}

static void refuses(eye_loop *loop, struct eye_endpoint e, int want, const char *cause) {
    eye_listener *listener = NULL;
    struct eye_err err = {0};
    if (!CHECK_INT(eye_listen(loop, &e, &listener, 1, &err), want) && listener)
        eye_listener_free(listener);
    CHECK_INT(err.code, want);
    CHECK(strstr(err.text, e.text) && strstr(err.cause, cause));
    eye_endpoint_done(&e);
}

static unsigned port_of(const eye_listener *listener) {
    struct eye_addr addr = {0};
    CHECK_INT(eye_listener_addr(listener, &addr), 0);
    return eye_addr_port(&addr);
}

/* A client of a numeric address: its descriptor, or -errno. */
static int client(const char *host, unsigned port) {
    struct eye_addr addr;
    char text[80];
    snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    CHECK_INT(eye_addr_parse(text, &addr, NULL), 0);
    int fd = socket(addr.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &addr.u.sa, addr.len) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* Accepts one; the text of its peer's address, without the port. */
static void accepts(eye_listener *listener, const char *peer_want) {
    struct got got = {0};
    eye_stream *stream = NULL;
    struct eye_addr peer;
    char text[EYE_ADDR_TEXT_MAX] = "";
    SUBMIT(eye_accept(listener, &got.op, &stream, got_done));
    AWAIT_INT(got, 0);
    if (!CHECK(stream))
        return;
    if (peer_want && CHECK_INT(eye_stream_peer(stream, &peer), 0)) {
        eye_addr_format_host(&peer, text, sizeof text);
        CHECK_STR(text, peer_want);
    }
    suite_close(stream);
}

static void need_ipv6(void) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
        suite_skip("no IPv6 here: %s", strerror(errno));
    close(fd);
}

/* ---- TCP ---- */

static void both_families(eye_loop *loop) {
    need_ipv6();
    static const char *const texts[] = {"tcp:[::]:0", "tcp::0", "tcp:0"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct eye_endpoint e = suite_endpoint("%s", texts[i]);
        eye_listener *listener = listener_new(loop, &e);
        int four = client("127.0.0.1", port_of(listener));
        accepts(listener, "::ffff:127.0.0.1");
        int six = client("::1", port_of(listener));
        accepts(listener, "::1");
        close(four);
        close(six);
        listener_drop(listener, &e);
    }
}

static void six_only(eye_loop *loop) {
    need_ipv6();
    struct eye_endpoint e = suite_endpoint("tcp:[::]:0,v6only");
    eye_listener *listener = listener_new(loop, &e);
    CHECK_INT(client("127.0.0.1", port_of(listener)), -ECONNREFUSED);
    int six = client("::1", port_of(listener));
    accepts(listener, "::1");
    close(six);
    listener_drop(listener, &e);
}

static void four_only(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp::0,family=4");
    eye_listener *listener = listener_new(loop, &e);
    int four = client("127.0.0.1", port_of(listener));
    accepts(listener, "127.0.0.1");
    close(four);
    listener_drop(listener, &e);
}

static void every_address(eye_loop *loop) {
    struct eye_endpoint e;
    eye_listener *listeners[4];
    int count = -EADDRINUSE;
    for (int tries = 0; count == -EADDRINUSE && tries < 50; tries++) {
        struct eye_addr addr; /* with a port that was free a moment ago */
        close(suite_tcp_listener(1, &addr));
        e = suite_endpoint("tcp:two.test:%u", eye_addr_port(&addr));
        count = eye_listen(loop, &e, listeners, 4, NULL);
        if (count == -EADDRINUSE)
            eye_endpoint_done(&e);
    }
    if (!CHECK_INT(count, 2))
        return;
    int fd[] = {client("127.0.0.1", port_of(listeners[0])), client("127.0.0.2", port_of(listeners[1]))};
    accepts(listeners[0], NULL);
    accepts(listeners[1], NULL);
    for (int i = 0; i < 2; i++) {
        close(fd[i]);
        eye_listener_free(listeners[i]);
    }
    CHECK_INT(eye_listen(loop, &e, listeners, 1, NULL), 1); /* no more than there is room for */
    listener_drop(listeners[0], &e);
}

static void in_use(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:0");
    eye_listener *listener = listener_new(loop, &e);
    refuses(loop, suite_endpoint("tcp:127.0.0.1:%u", port_of(listener)), -EADDRINUSE, "another process");
    /* One address of two is in use: none is kept. */
    refuses(loop, suite_endpoint("tcp:two.test:%u", port_of(listener)), -EADDRINUSE, "another process");
    refuses(loop, suite_endpoint("tcp:192.0.2.1:0"), -EADDRNOTAVAIL, "no interface");
    listener_drop(listener, &e);
}

static void no_listening(eye_loop *loop) {
    refuses(loop, suite_endpoint("-"), EYE_ESYNTAX, "");
    refuses(loop, suite_endpoint("tcp:127.0.0.1:0,bind=127.0.0.1"), EYE_ESYNTAX, "");
}

static void accept_order(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:0");
    eye_listener *listener = listener_new(loop, &e);
    struct got got[3] = {0};
    eye_stream *stream[3] = {0};
    for (int i = 0; i < 3; i++)
        SUBMIT(eye_accept(listener, &got[i].op, &stream[i], got_done));
    suite_turns(2);
    SUBMIT(eye_cancel(loop, &got[1].op));
    AWAIT_INT(got[1], -ECANCELED);
    int fd[] = {client("127.0.0.1", port_of(listener)), client("127.0.0.1", port_of(listener))};
    AWAIT_INT(got[2], 0);
    IS_DONE_ONCE(got[0], 0);
    CHECK(got[0].order < got[2].order && !stream[1]);
    struct got pending = {0};
    SUBMIT(eye_accept(listener, &pending.op, &stream[1], got_done));
    suite_turns(2);
    SUBMIT(listener_drop(listener, &e));
    AWAIT_INT(pending, -ECANCELED);
    suite_close(stream[0]);
    suite_close(stream[2]);
    close(fd[0]);
    close(fd[1]);
}

/* ---- Unix sockets ---- */

static char dir[64], path[80];

static void dir_new(void) {
    suite_tempdir(dir);
    snprintf(path, sizeof path, "%s/socket", dir);
}

static int unix_client(void) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    return fd;
}

static void modes(eye_loop *loop) {
    static const struct {
        mode_t mask;
        const char *options;
        mode_t want;
    } rows[] = {
        {0, "", 0600},           {022, "", 0600},
        {0777, "", 0},           {077, ",mode=0660", 0660},
        {0, ",mode=0666", 0666}, {0777, ",mode=0600", 0600},
        {0, ",mode=0000", 0},
    };
    dir_new();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_endpoint e = suite_endpoint("unix:%s%s", path, rows[i].options);
        mode_t former = umask(rows[i].mask);
        eye_listener *listener = listener_new(loop, &e);
        umask(former);
        struct stat st = {0};
        CHECK(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
        CHECK_INT(st.st_mode & 0777, rows[i].want);
        listener_drop(listener, &e);
        CHECK(lstat(path, &st) < 0);
    }
    suite_remove(dir);
}

static void stale(eye_loop *loop) {
    dir_new();
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    strcpy(sun.sun_path, path);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(dead, (struct sockaddr *)&sun, sizeof sun) == 0 && listen(dead, 1) == 0);
    close(dead);
    struct eye_endpoint e = suite_endpoint("unix:%s", path);
    eye_listener *listener = listener_new(loop, &e);
    int fd = unix_client();
    accepts(listener, NULL);
    close(fd);
    listener_drop(listener, &e);
    suite_remove(dir);
}

static void live(eye_loop *loop) {
    dir_new();
    struct eye_endpoint e = suite_endpoint("unix:%s", path);
    eye_listener *listener = listener_new(loop, &e);
    refuses(loop, suite_endpoint("unix:%s", path), -EADDRINUSE, "live");
    refuses(loop, suite_endpoint("unix:%s,type=seqpacket", path), -EADDRINUSE, "live");
    int fd = unix_client();  /* it is still there */
    accepts(listener, NULL); /* and the tries are gone or passed over */
    close(fd);
    listener_drop(listener, &e);
    suite_remove(dir);
}

static void in_the_way(eye_loop *loop) {
    dir_new();
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    refuses(loop, suite_endpoint("unix:%s", path), -EADDRINUSE, "no socket");
    struct stat st;
    CHECK(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
    unlink(path);
    char target[96];
    snprintf(target, sizeof target, "%s/target", dir);
    CHECK_INT(symlink(target, path), 0); /* dangling */
    refuses(loop, suite_endpoint("unix:%s", path), -EADDRINUSE, "no socket");
    CHECK(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(lstat(target, &st) < 0);
    unlink(path);
    CHECK_INT(mkdir(path, 0700), 0);
    refuses(loop, suite_endpoint("unix:%s", path), -EADDRINUSE, "no socket");
    refuses(loop, suite_endpoint("unix:%s/none/socket", dir), -ENOENT, "directory");
    suite_remove(dir);
}

static void only_its_own(eye_loop *loop) {
    dir_new();
    struct eye_endpoint e = suite_endpoint("unix:%s", path);
    eye_listener *listener = listener_new(loop, &e);
    struct stat st;
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)); /* somebody else's now */
    eye_listener_free(listener);
    CHECK(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
    unlink(path);
    eye_listener *mine = listener_new(loop, &e);
    unlink(path);
    eye_listener *theirs = listener_new(loop, &e);
    eye_listener_free(mine);
    CHECK(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
    int fd = unix_client();
    accepts(theirs, NULL);
    close(fd);
    listener_drop(theirs, &e);
    CHECK(lstat(path, &st) < 0);
    suite_remove(dir);
}

static void abstract(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("unix:@sockeye-test-abstract-%d", getpid());
    eye_listener *listener = listener_new(loop, &e);
    struct eye_addr addr;
    char text[EYE_ADDR_TEXT_MAX];
    CHECK_INT(eye_listener_addr(listener, &addr), 0);
    CHECK(eye_addr_format(&addr, text, sizeof text) > 0);
    CHECK_STR(text, e.path);
    refuses(loop, suite_endpoint("%s", e.text), -EADDRINUSE, "");
    int fd = suite_connect(&addr);
    accepts(listener, NULL);
    close(fd);
    listener_drop(listener, &e);
}

static const struct suite_case cases[] = {
    {"one socket takes both families", both_families},
    {"v6only refuses IPv4", six_only},
    {"family=4 is IPv4 alone", four_only},
    {"every address of a name", every_address},
    {"an address in use", in_use},
    {"what cannot listen", no_listening},
    {"accepts complete in order, and are cancelled", accept_order},
    {"the mode of a Unix socket under different masks", modes},
    {"a stale Unix socket is replaced", stale},
    {"a live Unix socket is left alone", live},
    {"a file, a symlink and a directory are left alone", in_the_way},
    {"a listener removes its own file and no other", only_its_own},
    {"an abstract name", abstract},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
