/* Sources that are the kernel's raw sockets, and capture files to write: what the command's tests do not see.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <net/if.h>

#include <sockeye/sockeye.h>

#include "base/base.h"
#include "tap.h"

/* A network of our own, where nobody else's packets pass. */
static bool own_network(void) {
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 && unshare(CLONE_NEWNET) < 0)
        return false;
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0;
}

static void send_datagram(uint16_t port, const char *text) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_INT(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to, sizeof to), strlen(text));
}

/* The next packet, waited for. */
static int next(eye_source *source, struct eye_packet *packet) {
    struct eye_err err = {.text = ""};
    int r;
    while ((r = eye_source_next(source, packet, &err)) == -EAGAIN) {
        if (poll(&(struct pollfd){.fd = eye_source_fd(source), .events = POLLIN}, 1, 10000) != 1)
            break;
    }
    return r;
}

static void raw_socket(const char *spec, uint32_t link, uint32_t head) {
    struct eye_source_stats stats;
    struct eye_packet packet;
    struct eye_field port;
    struct eye_tree tree;
    struct eye_err err;
    eye_source *source;

    tap_case("%s gives what passes", spec);
    int r = eye_source_open(spec, &(struct eye_source_opts){.filter = "udp port 9"}, &source, &err);
    if (r == EYE_EUNAVAILABLE) {
        tap_skip("%s", err.text);
        return;
    }
    if (!CHECK_INT(r, 0))
        return;
    CHECK_INT(eye_source_next(source, &packet, &err), -EAGAIN);
    send_datagram(10, "not this one");
    send_datagram(9, "text");
    if (CHECK_INT(next(source, &packet), 1)) {
        CHECK_INT(packet.link, link);
        CHECK_INT(packet.caplen, head + 28 + 4);
        CHECK(packet.time_ns > INT64_C(1500000000) * NS_PER_S);
        eye_dissect(&packet, 0, &tree);
        CHECK_INT(eye_tree_find(&tree, &packet, "udp.dst_port", &port), 0);
        CHECK_INT(port.num, 9);
    }
    eye_source_stats(source, &stats);
    CHECK_INT(stats.passed, 1);
    CHECK(stats.captured >= 2);
    CHECK_INT(stats.dropped_kernel, 0);
    eye_source_free(source);
}

static void bad_spec(const char *spec, int code) {
    struct eye_err err;
    eye_source *source = NULL;
    tap_case("'%s' is refused", spec);
    CHECK_INT(eye_source_open(spec, NULL, &source, &err), code);
    CHECK_INT(err.code, code);
    CHECK(!source);
}

static void dump_round(bool nano) {
    const uint8_t bytes[3] = {1, 2, 3};
    const struct eye_packet in = {
        .time_ns = 5 * NS_PER_S + 123456789, .data = bytes, .caplen = 3, .len = 9, .link = 1};
    char folder[] = "/tmp/eye.XXXXXX", path[64], spec[72];
    struct eye_packet out;
    struct eye_err err;
    eye_source *source;
    eye_dump *dump;

    tap_case("what is written in %s is read again", nano ? "nanoseconds" : "microseconds");
    if (!CHECK(mkdtemp(folder)))
        return;
    snprintf(path, sizeof path, "%s/x.pcap", folder);
    snprintf(spec, sizeof spec, "file:%s", path);
    if (CHECK_INT(eye_dump_open(path, &(struct eye_dump_opts){.nano = nano}, &dump, &err), 0)) {
        CHECK_INT(eye_dump_write(dump, &in, &err), 0);
        CHECK_INT(eye_dump_close(dump, -1, &err), 0);
    }
    if (CHECK_INT(eye_source_open(spec, NULL, &source, &err), 0)) {
        CHECK_INT(eye_source_fd(source), -1);
        CHECK_INT(eye_source_link(source), 1);
        if (CHECK_INT(eye_source_next(source, &out, &err), 1)) {
            CHECK_INT(out.time_ns, nano ? in.time_ns : in.time_ns / 1000 * 1000);
            CHECK_INT(out.caplen, 3);
            CHECK_INT(out.len, 9);
            CHECK(memcmp(out.data, bytes, 3) == 0);
        }
        CHECK_INT(eye_source_next(source, &out, &err), 0);
        eye_source_free(source);
    }
    unlink(path);
    rmdir(folder);
}

static void no_folder(void) {
    struct eye_err err;
    eye_dump *dump;
    tap_case("a file that cannot be made");
    CHECK_INT(eye_dump_open("/nowhere/x", &(struct eye_dump_opts){0}, &dump, &err), -ENOENT);
    CHECK_STR(err.text, "/nowhere/x: no such file or directory");
}

int main(void) {
    dump_round(false);
    dump_round(true);
    no_folder();
    bad_spec("eth0", EYE_ESYNTAX);
    bad_spec("tcp:x", EYE_ESYNTAX);
    bad_spec("ip:nosuchprotocol", EYE_ESYNTAX);
    bad_spec("file:/nowhere/x", -ENOENT);
    if (own_network()) {
        bad_spec("packet:none0", -ENODEV);
        raw_socket("ip:udp", EYE_LINK_RAW, 0);
        raw_socket("packet:lo", EYE_LINK_ETHERNET, 14);
        raw_socket("packet:any", EYE_LINK_ETHERNET, 14);
    } else {
        tap_case("raw sockets");
        tap_skip("this host allows no network of our own");
    }
    return tap_done();
}
