/* test_stream_batches.c: datagrams in batches, both ways; joined ones, and where they cannot be sent joined.
 */
#include <net/if.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include "datagrams.h"

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h, since Linux 5.0 */
#endif

enum { FLAGS_UDP = SLOT_SOCKET | SLOT_MESSAGES | SLOT_ENDLESS };

static bool same(const struct eye_addr *a, const struct eye_addr *b) {
    return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

static void expect_nothing(int fd) {
    char byte;
    CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* ---- batches ---- */

static struct {
    struct batch batch;
    uint8_t buffer[BATCH_BYTES];
    struct got got;
} in;

static void recv_batch(eye_stream *stream) {
    in.got = (struct got){0};
    SUBMIT(io_recv_batch(&stream->slot[0], &in.got.op, &in.batch, in.buffer, got_done));
}

static void batch_in(eye_loop *loop) {
    static const size_t sizes[] = {4, 0, 65507, 1, 0};
    struct eye_addr server, peer;
    int fd = udp_socket("127.0.0.1", &server), other = udp_socket("127.0.0.1", &peer);
    eye_stream *stream = suite_stream(loop, fd, FLAGS_UDP);
    recv_batch(stream);
    suite_turns(2);
    CHECK_INT(in.got.count, 0);
    CHECK_INT(connect(other, &server.u.sa, server.len), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        send_pattern(other, sizes[i]);
    AWAIT_INT(in.got, ARRAY_LEN(sizes));
    CHECK_INT(in.batch.count, ARRAY_LEN(sizes));
    for (size_t i = 0; i < in.batch.count; i++) {
        const struct datagram *d = &in.batch.list[i];
        CHECK_INT(d->size, sizes[i]);
        CHECK_INT(d->segment_bytes, 0);
        CHECK(same(&d->peer, &peer) && memcmp(d->data, pattern, d->size) == 0);
    }
    suite_close(stream);
    close(other);
}

static void batches_in_order(eye_loop *loop) {
    struct eye_addr server;
    eye_stream *stream = suite_stream(loop, udp_socket("127.0.0.1", &server), FLAGS_UDP);
    int fd = client("127.0.0.1", eye_addr_port(&server));
    uint32_t want = 0;
    for (uint32_t i = 0; i < 3 * BATCH_MAX / 2; i++)
        CHECK_INT(send(fd, &i, sizeof i, 0), sizeof i);
    while (want < 3 * BATCH_MAX / 2) {
        recv_batch(stream);
        if (!AWAIT(in.got) || !CHECK(in.got.result > 0 && in.got.result <= BATCH_MAX))
            break;
        for (size_t i = 0; i < in.batch.count; i++, want++)
            CHECK(in.batch.list[i].size == 4 && memcmp(in.batch.list[i].data, &want, 4) == 0);
    }
    suite_close(stream);
    close(fd);
}

static void batch_in_cancelled(eye_loop *loop) {
    struct eye_addr server;
    eye_stream *stream = suite_stream(loop, udp_socket("127.0.0.1", &server), FLAGS_UDP);
    int fd = client("127.0.0.1", eye_addr_port(&server));
    recv_batch(stream);
    suite_turns(2);
    eye_cancel(loop, &in.got.op);
    AWAIT_INT(in.got, -ECANCELED);
    send_pattern(fd, 7); /* nothing of it is lost to the one that was cancelled */
    recv_batch(stream);
    AWAIT_INT(in.got, 1);
    CHECK_INT(in.batch.list[0].size, 7);
    suite_close(stream);
    close(fd);
}

static void local_is_told(eye_loop *loop) {
    struct eye_addr server;
    int fd = udp_socket("0.0.0.0", &server);
    CHECK_INT(sys_set_int(fd, IPPROTO_IP, IP_PKTINFO, 1), 0);
    eye_stream *stream = suite_stream(loop, fd, FLAGS_UDP);
    int peer = client("127.0.0.5", eye_addr_port(&server));
    send_pattern(peer, 3);
    recv_batch(stream);
    AWAIT_INT(in.got, 1);
    struct eye_addr want = address("127.0.0.5", 0);
    CHECK(in.batch.list[0].local.len > 0);
    CHECK(in.batch.list[0].local.u.in.sin_addr.s_addr == want.u.in.sin_addr.s_addr);
    /* Sent back with it, the answer comes from there: the client takes it from nowhere else. */
    struct got sent = {0};
    SUBMIT(io_send_batch(&stream->slot[0], &sent.op, &in.batch, got_done));
    AWAIT_INT(sent, 1);
    expect_pattern(loop, peer, 3);
    suite_close(stream);
    close(peer);
}

/* A stream that sends, and a plain socket that gets it. */
static struct {
    eye_stream *stream;
    int fd;
    struct eye_addr to;
    struct batch batch;
} out;

static void out_open(eye_loop *loop) {
    out.fd = udp_socket("127.0.0.1", &out.to);
    out.stream = suite_stream(loop, udp_socket("127.0.0.1", NULL), FLAGS_UDP);
    out.batch = (struct batch){0};
}

static void out_add(size_t size, size_t segment_bytes) {
    out.batch.list[out.batch.count++] =
        (struct datagram){.data = pattern, .size = size, .segment_bytes = segment_bytes, .peer = out.to};
}

static void out_send(void) {
    struct got sent = {0};
    int64_t count = (int64_t)out.batch.count;
    SUBMIT(io_send_batch(&out.stream->slot[0], &sent.op, &out.batch, got_done));
    AWAIT_INT(sent, count);
}

static void out_close(void) {
    expect_nothing(out.fd);
    suite_close(out.stream);
    close(out.fd);
}

static void batch_out(eye_loop *loop) {
    static const size_t sizes[] = {65507, 0, 1, 1400, 0};
    out_open(loop);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        out_add(sizes[i], 0);
    out_send();
    CHECK_INT(out.batch.lost, 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        expect_pattern(loop, out.fd, sizes[i]);
    out_close();
}

static void batch_out_refused(eye_loop *loop) {
    /* What the kernel does not take is lost by itself: the others go. */
    out_open(loop);
    out_add(10, 0);
    out_add(DATAGRAM_PAYLOAD_MAX + 1, 0);
    out_add(20, 0);
    out_send();
    CHECK_INT(out.batch.lost, 1);
    expect_pattern(loop, out.fd, 10);
    expect_pattern(loop, out.fd, 20);
    out_close();
}

/* ---- joined datagrams ---- */

/* The n-th segment of the pattern. */
static void expect_segments(eye_loop *loop, int fd, size_t size, size_t segment) {
    uint8_t buf[8192];
    for (size_t at = 0; at < size; at += segment) {
        size_t want = MIN(segment, size - at);
        if (CHECK_INT(suite_next(loop, fd, buf, sizeof buf), want))
            CHECK(memcmp(buf, pattern + at, want) == 0);
    }
}

static void joined_out(eye_loop *loop) {
    out_open(loop);
    out_add(1050, 100);
    out_add(5, 0);
    out_add(1000, 100);
    out_add(SEGMENTS_MAX * 10, 10);
    out_send();
    CHECK_INT(out.batch.lost, 0);
    expect_segments(loop, out.fd, 1050, 100);
    expect_pattern(loop, out.fd, 5);
    expect_segments(loop, out.fd, 1000, 100);
    expect_segments(loop, out.fd, SEGMENTS_MAX * 10, 10);
    out_close();
}

static void joined_in(eye_loop *loop) {
    out_open(loop);
    if (sys_set_int(out.fd, IPPROTO_UDP, UDP_GRO, 1) < 0)
        suite_skip("no UDP_GRO to be had: %s", strerror(errno));
    eye_stream *stream = suite_stream(loop, out.fd, FLAGS_UDP);
    out_add(1050, 100);
    out_add(7, 0);
    out_send();
    size_t at = 0, came = 0;
    while (came < 1057) {
        recv_batch(stream);
        if (!AWAIT(in.got) || !CHECK(in.got.result > 0))
            break;
        for (size_t i = 0; i < in.batch.count; i++) {
            const struct datagram *d = &in.batch.list[i];
            came += d->size;
            if (came == 1057) {
                CHECK(d->size == 7 && d->segment_bytes == 0);
                continue;
            }
            /* As many as the kernel chose to join, and never across a boundary. */
            CHECK(d->segment_bytes == (d->size > 100 ? 100U : 0U));
            CHECK(memcmp(d->data, pattern + at, d->size) == 0);
            at += d->size;
        }
    }
    CHECK_INT(at, 1050);
    suite_close(stream);
    suite_close(out.stream);
}

static int send_attempts;

/* The kernel refuses the first call, which has the joined piece. */
static int too_long(const char *call, int fd, size_t *size) {
    (void)fd, (void)size;
    return strcmp(call, "send") == 0 && send_attempts++ == 0 ? -EMSGSIZE : 0;
}

static void joined_refused(eye_loop *loop) {
    out_open(loop);
    out_add(2050, 500);
    out_add(9, 0);
    send_attempts = 0;
    sys_fault = too_long;
    out_send();
    sys_fault = NULL;
    CHECK_INT(send_attempts, 7); /* refused, five segments, and what is left of the batch */
    CHECK_INT(out.batch.lost, 0);
    expect_segments(loop, out.fd, 2050, 500);
    expect_pattern(loop, out.fd, 9);
    out_close();
}

static void segments_above_mtu(eye_loop *loop) {
    /* Where a plain datagram would be fragmented, the kernel refuses segments (udp(7)). */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 && unshare(CLONE_NEWNET) < 0)
        suite_skip("no network namespace to be had: %s", strerror(errno));
    struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = 1500};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ready = ioctl(control, SIOCSIFMTU, &lo) == 0;
    lo.ifr_flags = IFF_UP | IFF_RUNNING;
    ready = ready && ioctl(control, SIOCSIFFLAGS, &lo) == 0;
    close(control);
    if (!ready)
        suite_skip("the loopback interface cannot be changed: %s", strerror(errno));
    out_open(loop);
    out_add(9000, 4000);
    out_add(2800, 1400);
    out_send();
    CHECK_INT(out.batch.lost, 0);
    expect_segments(loop, out.fd, 9000, 4000);
    expect_segments(loop, out.fd, 2800, 1400);
    out_close();
}

static const struct suite_case cases[] = {
    {"a batch received: empty, large, each with its sender", batch_in},
    {"more than a batch holds, in order", batches_in_order},
    {"a batch that was cancelled takes nothing", batch_in_cancelled},
    {"the address that was used is told, and answered from", local_is_told},
    {"a batch sent: empty, large, in order", batch_out},
    {"of a batch, only what the kernel refuses is lost", batch_out_refused},
    {"joined datagrams are sent as single ones", joined_out},
    {"datagrams that the kernel joins keep their boundaries", joined_in},
    {"a joined piece that is refused goes one by one", joined_refused},
    {"segments above the MTU go one by one", segments_above_mtu},
};

int main(int argc, char **argv) {
    pattern = suite_pattern(DATAGRAM_BYTES);
    int status = suite_main(cases, ARRAY_LEN(cases), argc, argv);
    free(pattern);
    return status;
}
