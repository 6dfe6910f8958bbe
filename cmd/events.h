/* events.h: what is told of each connection: `--events` as JSON lines, `-v` as lines for people, and
 * without either one line for each connection that failed, of identical ones at most one a second. */
#ifndef CMD_EVENTS_H
#define CMD_EVENTS_H

#include <sockeye/flow.h>

#include "options.h"
#include "sink.h"

#define REPEAT_MAX 8

/* A message that was printed lately. */
struct repeat {
    char text[256];
    int64_t printed_ns;
    uint64_t suppressed;
};

struct events {
    struct eye_observer observer; /* for the library, from any thread */
    pthread_mutex_t lock;
    bool verbose, quiet;
    bool one_shot; /* the command itself reports how its only connection went */
    bool json;     /* --events was given */
    struct sink sink;
    uint64_t dropped; /* events that the sink refused since the last that it took */
    struct repeat repeats[REPEAT_MAX];
};

/* Opens what --events names. events must stay where it is. */
int events_open(struct events *events, const struct common *common, struct eye_err *reterr);

/* The two ends of the loop's part: from its beginning, and before its last turns. */
void events_attach(struct events *events, eye_loop *loop);
void events_finish(struct events *events);

/* Events come from other threads, too; where one of them leaves something to be written, news_fd, an
 * eventfd(2), wakes the loop for events_tend. */
void events_share(struct events *events, int news_fd);
void events_tend(struct events *events);

/* Says how many messages were held back, and closes. */
void events_close(struct events *events);

#endif
