/* step.h: what the tour's recipes are made of: servers of ours, peers of others, and their dialogues.
 * Each function shows the reader what it did and, where it fails, leaves the reason in the step. */
#ifndef CMD_STEP_H
#define CMD_STEP_H

#include "tour.h"

enum tour_mark step_marked(struct tour_step *step, enum tour_mark mark, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Starts a child of the step, which the tour ends; NULL where it cannot be started. */
struct child *step_start(struct tour_step *step, const struct child_how *how);

/* A sockeye command and its arguments. */
#define SOCKEYE(...)                                                                                         \
    (&(const struct child_how){{"sockeye", __VA_ARGS__}, .in = CHILD_PIPE, .out = CHILD_PIPE})

/* Runs a command to its end and shows what it printed, which must hold every one of wants. */
#define WANTS(...) ((const char *const[]){__VA_ARGS__, NULL})
enum tour_mark step_shown(struct tour_step *step, int status_wanted, const char *const *wants,
                          const struct child_how *how);

/* Starts a server of ours, waits until it listens, and takes the address from its event. */
struct child *step_serve(struct tour_step *step, char *ret_address, size_t size, const struct child_how *how);

/* Where a peer is to go. */
struct target {
    char host[64], port[8];
    char path[108]; /* of a Unix socket, in place of the other two */
};

/* Splits "127.0.0.1:80" or "[::1]:80". */
void target_at(struct target *target, const char *address);

/* Starts somebody else's program as a peer: nc or socat where they are installed, else sockeye itself. */
enum step_peer_role { STEP_DIALS, STEP_LISTENS };
struct child *step_peer(struct tour_step *step, enum step_peer_role role, const struct target *target, int in,
                        int out);

/* A peer says a line and gets it back; a peer ends its sending and then ends well. */
bool step_says(struct tour_step *step, struct child *peer, const char *line);
bool step_ends(struct tour_step *step, struct child *peer);

/* A whole dialogue of a peer with an echo server. */
bool step_talk(struct tour_step *step, const struct target *target);

#endif
