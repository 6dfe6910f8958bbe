/* recipes_packets.c: the tour's sniffers, on hosts of its own: network namespaces in a user namespace, which
 * need no privileges where the system allows them. Each is held by a child that sleeps; the others enter it.
 */
#include <string.h>
#include <unistd.h>

#include "recipes.h"
#include "step.h"

/* A command in the namespaces of a host. */
#define ON(host, ...)                                                                                        \
    (&(const struct child_how){                                                                              \
        {"nsenter", "-t", (host)->pid, "-U", "-n", "--preserve-credentials", __VA_ARGS__},                   \
        .in = CHILD_PIPE,                                                                                    \
        .out = CHILD_PIPE})

struct host {
    char pid[16];
};

static bool installed(struct tour_step *step, const char *program) {
    if (child_installed(program))
        return true;
    step_marked(step, TOUR_SKIPPED, "%s is not installed", program);
    return false;
}

/* Waits until a host is up. */
static bool host_up(struct tour_step *step, struct child *holder, struct host *ret_host) {
    if (!holder || !child_await(&holder->out, "up\n")) {
        step_marked(step, TOUR_SKIPPED, "this host allows no namespaces of our own");
        return false;
    }
    snprintf(ret_host->pid, sizeof ret_host->pid, "%d", (int)holder->pid);
    return true;
}

static bool host_new(struct tour_step *step, struct host *ret_host) {
    if (!installed(step, "unshare") || !installed(step, "nsenter") || !installed(step, "ip"))
        return false;
    return host_up(
        step,
        step_start(step, &(const struct child_how){{"unshare", "-U", "-r", "-n", "sh", "-c",
                                                    "ip link set lo up && echo up && exec sleep 60"},
                                                   .in = CHILD_PIPE,
                                                   .out = CHILD_PIPE}),
        ret_host);
}

/* Starts sniff there, and waits until it listens. */
static struct child *sniff_start(struct tour_step *step, const struct host *host, const char *form,
                                 const char *interface, const char *filter) {
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    struct child *sniff = step_start(step, ON(host, self, "sniff", form, "-i", interface, filter));
    if (!sniff)
        return NULL;
    if (child_await(&sniff->out, "listening on") && child_await(&sniff->out, "\n"))
        return sniff;
    fputs(sniff->out.data, step->log);
    step_marked(step, strstr(sniff->out.data, "libpcap") ? TOUR_SKIPPED : TOUR_FAILED, "it does not listen");
    return NULL;
}

static enum tour_mark without(const struct tour_step *step) {
    return strstr(step->reason, "not installed") || strstr(step->reason, "namespaces") ? TOUR_SKIPPED
                                                                                       : TOUR_FAILED;
}

/* Runs a command there to its end, and then sniff must have shown each of wants. */
static enum tour_mark shows(struct tour_step *step, struct child *sniff, const char *const *wants,
                            const struct child_how *how) {
    struct child *child = step_start(step, how);
    int status;
    if (!child)
        return TOUR_FAILED;
    child_send_end(child);
    status = child_wait(child);
    if (status != 0)
        return step_marked(step, TOUR_FAILED, "%s ended with %d", how->argv[6], status);
    for (; *wants; wants++) {
        if (!child_await(&sniff->out, *wants))
            return step_marked(step, TOUR_FAILED, "'%s' was not shown", *wants);
    }
    fputs(sniff->out.data, step->log);
    return TOUR_OK;
}

enum tour_mark sniff_ip(struct tour_step *step) {
    struct host host;
    struct child *sniff;
    if (!installed(step, "ping") || !host_new(step, &host))
        return without(step);
    sniff = sniff_start(step, &host, "-c6", "lo", "icmp");
    if (!sniff)
        return TOUR_FAILED;
    return shows(step, sniff, WANTS("echo request", "echo reply", "6 shown"),
                 ON(&host, "ping", "-q", "-c3", "-i0.2", "127.0.0.1"));
}

enum tour_mark sniff_tcp(struct tour_step *step) {
    struct host host;
    struct child *sniff;
    if (!installed(step, "curl") || !installed(step, "python3") || !host_new(step, &host))
        return without(step);
    struct child *server = step_start(step, ON(&host, "python3", "-u", "-m", "http.server", "8000"));
    if (!server || !child_await(&server->out, "Serving HTTP"))
        return step_marked(step, TOUR_FAILED, "no web server");
    sniff = sniff_start(step, &host, "--detail", "lo", "tcp dst port 8000");
    if (!sniff)
        return TOUR_FAILED;
    return shows(step, sniff, WANTS("TCP_HEADER", "Destination Port: 8000", "PSH: 8", "GET / HTTP/1.1"),
                 ON(&host, "curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8000/"));
}

enum tour_mark sniff_arp(struct tour_step *step) {
    static const char cable[] =
        "ip link add eth0 type veth peer name eth1 netns $0 && ip link set eth0 up && "
        "ip address add 198.51.100.1/24 dev eth0 && "
        "nsenter -n -t $0 sh -c 'ip link set eth1 up && "
        "ip address add 198.51.100.2/24 dev eth1'";
    struct host host, neighbour;
    struct child *child, *sniff;
    if (!installed(step, "ping") || !host_new(step, &host))
        return without(step);
    child = step_start(step, ON(&host, "unshare", "-n", "sh", "-c", "echo up && exec sleep 60"));
    if (!host_up(step, child, &neighbour))
        return TOUR_SKIPPED;
    child = step_start(step, ON(&host, "sh", "-c", cable, neighbour.pid));
    if (!child || child_wait(child) != 0)
        return step_marked(step, TOUR_SKIPPED, "no cable between two hosts (veth)");
    sniff = sniff_start(step, &host, "--detail", "eth0", "arp");
    if (!sniff)
        return TOUR_FAILED;
    return shows(step, sniff, WANTS("ETHERNET_FRAME", "ARP_HEADER", "(request)", "(reply)"),
                 ON(&host, "ping", "-q", "-c1", "198.51.100.2"));
}
