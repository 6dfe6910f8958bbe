/* bench_serve.c: a server of ours under load, each on a CPU of its own. The server is the command itself as a
 * child, so what is measured is what users run. Its CPU time is read from its process's clock
 * (clock_getcpuclockid(3)), which counts nanoseconds and all of its threads. */
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <sockeye/addr.h>

#include "bench.h"
#include "output.h"

/* The first two CPUs that we may use; the same one twice where there is no other. */
static void two_cpus(cpu_set_t *ret_server, cpu_set_t *ret_client) {
    cpu_set_t all;
    size_t found = 0;
    CPU_ZERO(ret_server);
    CPU_ZERO(ret_client);
    sched_getaffinity(0, sizeof all, &all);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, found++ == 0 ? ret_server : ret_client);
    }
    if (found < 2)
        *ret_client = *ret_server;
}

static int64_t cpu_ns(pid_t pid) {
    clockid_t clock;
    struct timespec t = {0};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- when a signal ends us, the server goes first ---- */

static volatile pid_t server_pid;

static void on_signal(int signum) {
    if (server_pid > 0 && kill(server_pid, SIGKILL) == 0)
        waitpid(server_pid, NULL, 0);
    raise(signum); /* SA_RESETHAND: its default action */
}

static void end_server_by_signal(void) {
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* The value of "address" in the server's event. */
static bool listening(struct child *child, struct eye_addr *ret_addr) {
    char text[64];
    const char *at;
    if (!child_await(&child->events, "\"listening\"") || !child_await(&child->events, "}\n"))
        return false;
    at = strstr(child->events.data, "\"address\":\"");
    return at && sscanf(at, "\"address\":\"%63[^\"]", text) == 1 && eye_addr_parse(text, ret_addr, NULL) == 0;
}

/* The server's own line says why it did not start. */
static int server_failed(struct child *child) {
    int status = child_wait(child);
    fputs(child->out.data, stderr);
    return status > 0 ? status : STATUS_OTHER;
}

static int measure(struct child *child, struct load *load, struct bench_measured *ret) {
    struct eye_addr at;
    if (!listening(child, &at))
        return server_failed(child);
    int r = load_connect(load, &at.u.sa, at.len);
    int64_t before_ns = cpu_ns(child->pid);
    if (r == 0)
        r = load_run(load, &ret->load);
    ret->server_cpu_ns = cpu_ns(child->pid) - before_ns;
    return r < 0 ? report_code(r, "load") : STATUS_OK;
}

static int on_two_cpus(const struct child_how *server, struct load *load, struct bench_measured *ret) {
    struct child_how how = *server;
    char sink[32];
    cpu_set_t before, server_cpu, client_cpu;
    struct child child;

    snprintf(sink, sizeof sink, "tcp:127.0.0.1:%u", load_sink_port(load));
    for (size_t i = 0; how.argv[i]; i++) {
        if (strcmp(how.argv[i], BENCH_SINK) == 0)
            how.argv[i] = sink;
    }
    sched_getaffinity(0, sizeof before, &before);
    two_cpus(&server_cpu, &client_cpu);
    sched_setaffinity(0, sizeof server_cpu, &server_cpu); /* the child inherits it */
    end_server_by_signal();
    int r = child_start(&how, &child);
    server_pid = r < 0 ? 0 : child.pid;
    sched_setaffinity(0, sizeof client_cpu, &client_cpu);
    int status = r < 0 ? report_code(r, how.argv[0]) : measure(&child, load, ret);
    server_pid = 0;
    if (r == 0)
        child_end(&child);
    sched_setaffinity(0, sizeof before, &before);
    return status;
}

/* As many connections as the user asks for, if the hard limit allows them (getrlimit(2)). */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int bench_serve(const struct child_how *server, const struct load_how *how, struct bench_measured *ret) {
    struct load *load;
    raise_descriptors();
    int r = load_new(how, &load);
    if (r < 0)
        return report_code(r, "load");
    int status = on_two_cpus(server, load, ret);
    load_free(load);
    return status;
}
