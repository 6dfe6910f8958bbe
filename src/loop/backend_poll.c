/* backend_poll.c: poll(2). One dense array of what slots wait for; a slot knows its place in it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "loop/backend.h"

struct poll_state {
    struct pollfd *fds;
    int32_t count, size;
};

static int poll_open(eye_loop *loop) {
    loop->backend_state = calloc(1, sizeof(struct poll_state));
    return loop->backend_state ? 0 : -ENOMEM;
}

static void poll_close(eye_loop *loop) {
    struct poll_state *state = loop->backend_state;
    free(state->fds);
    free(state);
}

static void poll_forget(eye_loop *loop, struct slot *slot) {
    struct poll_state *state = loop->backend_state;
    if (slot->position < 0)
        return;
    /* The last one moves into the gap. */
    struct pollfd *gap = &state->fds[slot->position];
    *gap = state->fds[--state->count];
    if (gap->fd != slot->fd)
        slot_find(loop, gap->fd)->position = slot->position;
    slot->position = -1;
}

static int poll_set(eye_loop *loop, struct slot *slot) {
    struct poll_state *state = loop->backend_state;
    if (slot->wanted == 0) {
        poll_forget(loop, slot);
        return 0;
    }
    if (slot->position < 0) {
        if (state->count == state->size) {
            int32_t size = MAX(state->size * 2, 64);
            struct pollfd *fds = realloc(state->fds, (size_t)size * sizeof *fds);
            if (!fds)
                return -ENOMEM;
            state->fds = fds;
            state->size = size;
        }
        slot->position = state->count++;
    }
    state->fds[slot->position] = (struct pollfd){
        .fd = slot->fd,
        .events = (short)((slot->wanted & WAY_IN ? POLLIN : 0) | (slot->wanted & WAY_OUT ? POLLOUT : 0)),
    };
    return 0;
}

static int poll_wait_for(eye_loop *loop, int64_t timeout_ns) {
    struct poll_state *state = loop->backend_state;
    int n = poll(state->fds, (nfds_t)state->count, backend_timeout_ms(timeout_ns));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    /* Backwards: a slot that hears something gives up its place to the last one, already seen. */
    for (int32_t i = state->count - 1; i >= 0 && n > 0; i--) {
        short e = state->fds[i].revents;
        if (!e)
            continue;
        n--;
        if (e & (POLLHUP | POLLERR | POLLNVAL))
            e |= POLLIN | POLLOUT;
        slot_ready(slot_find(loop, state->fds[i].fd),
                   (e & POLLIN ? WAY_IN : 0U) | (e & POLLOUT ? WAY_OUT : 0U), false);
    }
    return 0;
}

const struct backend backend_poll = {
    .name = "poll",
    .since = "Linux 2.2",
    .open = poll_open,
    .close = poll_close,
    .set = poll_set,
    .forget = poll_forget,
    .wait = poll_wait_for,
};

/* The engine `thread` gives each peer a thread and a loop of its own, and these are small poll loops. */
const struct backend backend_thread = {
    .name = "thread",
    .since = "Linux 2.6",
    .open = poll_open,
    .close = poll_close,
    .set = poll_set,
    .forget = poll_forget,
    .wait = poll_wait_for,
};
