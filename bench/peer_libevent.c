/* peer_libevent.c PORT: TCP echo by libevent's bufferevents. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "bare.h"

static void came(struct bufferevent *peer, void *user) {
    (void)user;
    evbuffer_add_buffer(bufferevent_get_output(peer), bufferevent_get_input(peer));
}

static void ended(struct bufferevent *peer, short what, void *user) {
    (void)what;
    (void)user;
    bufferevent_free(peer);
}

static void arrived(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len,
                    void *user) {
    struct bufferevent *peer =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    (void)addr;
    (void)len;
    (void)user;
    bufferevent_setcb(peer, came, NULL, ended, NULL);
    bufferevent_enable(peer, EV_READ | EV_WRITE);
}

int main(int argc, char **argv) {
    keep_memory();
    struct event_base *base = event_base_new();
    struct evconnlistener *listener = evconnlistener_new(base, arrived, NULL, LEV_OPT_CLOSE_ON_FREE, 4096,
                                                         serve_at(argc > 1 ? argv[1] : "0", SOCK_STREAM));
    if (!listener)
        die("evconnlistener_new");
    return event_base_dispatch(base);
}
