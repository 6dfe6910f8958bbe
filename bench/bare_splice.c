/* bare_splice.c PORT TO_PORT: a relay by splice(2), through one pipe of 1 MiB for each way, and epoll(7). */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "bare.h"

#define EVENTS     64
#define PIPE_BYTES (1 << 20)

struct way {
    int from, to, pipe[2];
    size_t held;
    int ended;
};

struct relay {
    struct way way[2];
};

static void way_open(struct way *way, int from, int to) {
    way->from = from;
    way->to = to;
    if (pipe2(way->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
        die("pipe2");
    fcntl(way->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
}

static void way_move(struct way *way) {
    for (;;) {
        ssize_t n = 0;
        if (way->held == 0 && !way->ended) {
            n = splice(way->from, NULL, way->pipe[1], NULL, PIPE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (n < 0)
                return;
            way->ended = n == 0;
            way->held = (size_t)n;
            if (way->ended)
                shutdown(way->to, SHUT_WR);
        }
        if (way->held == 0)
            return;
        n = splice(way->pipe[0], NULL, way->to, NULL, way->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0)
            return;
        way->held -= (size_t)n;
    }
}

static void relay_new(int epoll, int from, struct sockaddr_in *to) {
    struct relay *relay = calloc(1, sizeof *relay);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = relay};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!relay || connect(fd, (struct sockaddr *)to, sizeof *to) < 0)
        die("connect");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    way_open(&relay->way[0], from, fd);
    way_open(&relay->way[1], fd, from);
    epoll_ctl(epoll, EPOLL_CTL_ADD, from, &event);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    struct sockaddr_in to = at_port(argv[2]);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    int listener = serve_at(argv[1], SOCK_STREAM), epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct relay *relay = events[i].data.ptr;
            if (!relay) {
                int from = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (from >= 0)
                    relay_new(epoll, from, &to);
                continue;
            }
            way_move(&relay->way[0]);
            way_move(&relay->way[1]);
            if (relay->way[0].ended && relay->way[1].ended) {
                for (int j = 0; j < 2; j++) {
                    close(relay->way[j].from);
                    close(relay->way[j].pipe[0]);
                    close(relay->way[j].pipe[1]);
                }
                /* Not freed: the other descriptor's event may be in this batch. */
            }
        }
    }
}
