/* backend_select.c: select(2). Descriptors of FD_SETSIZE (1024) and more do not fit its sets; the loop
 * turns them away (fd_max) and goes on with the rest. */
#include <errno.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/time.h>

#include "loop/backend.h"

struct select_state {
    fd_set wanted[2];
    int fd_limit; /* one above the highest descriptor in the sets */
};

static int select_open(eye_loop *loop) {
    loop->backend_state = calloc(1, sizeof(struct select_state));
    return loop->backend_state ? 0 : -ENOMEM;
}

static void select_close(eye_loop *loop) {
    free(loop->backend_state);
}

static int select_set(eye_loop *loop, struct slot *slot) {
    struct select_state *state = loop->backend_state;
    for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++) {
        if (slot->wanted & (1U << way))
            FD_SET(slot->fd, &state->wanted[way]);
        else
            FD_CLR(slot->fd, &state->wanted[way]);
    }
    if (slot->wanted)
        state->fd_limit = MAX(state->fd_limit, slot->fd + 1);
    while (state->fd_limit > 0 && !FD_ISSET(state->fd_limit - 1, &state->wanted[EYE_IN]) &&
           !FD_ISSET(state->fd_limit - 1, &state->wanted[EYE_OUT]))
        state->fd_limit--;
    return 0;
}

static void select_forget(eye_loop *loop, struct slot *slot) {
    slot->wanted = 0;
    select_set(loop, slot);
}

static int select_wait_for(eye_loop *loop, int64_t timeout_ns) {
    struct select_state *state = loop->backend_state;
    fd_set in = state->wanted[EYE_IN], out = state->wanted[EYE_OUT];
    int limit = state->fd_limit;
    int ms = backend_timeout_ms(timeout_ns);
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    int n = select(limit, &in, &out, NULL, ms < 0 ? NULL : &tv);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int fd = 0; fd < limit && n > 0; fd++) {
        unsigned ways = (FD_ISSET(fd, &in) ? WAY_IN : 0U) | (FD_ISSET(fd, &out) ? WAY_OUT : 0U);
        if (!ways)
            continue;
        n -= (ways & WAY_IN ? 1 : 0) + (ways & WAY_OUT ? 1 : 0);
        slot_ready(slot_find(loop, fd), ways, false);
    }
    return 0;
}

const struct backend backend_select = {
    .name = "select",
    .since = "Linux 1.0",
    .fd_max = FD_SETSIZE,
    .open = select_open,
    .close = select_close,
    .set = select_set,
    .forget = select_forget,
    .wait = select_wait_for,
};
