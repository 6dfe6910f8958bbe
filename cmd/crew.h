/* crew.h: `--threads`: a command's servers on several loops, each on a thread of its own.
 *
 * The main thread has the first part, and alone takes signals and writes what `--events` could not write at
 * once. The others are asked to stop through an eventfd(2) each, and tell by one of the main thread's that
 * they have ended. A command without --threads is a crew of one.
 *
 * On the engine thread each part has one peer at a time. One part more than there are peers waits for the
 * next; it is begun when the last one has got its peer, and stays for the next ones. Where it cannot be
 * begun, for want of descriptors or memory, the next peer waits in the kernel's queue, the observer hears of
 * a pause, and it is tried again a little later. */
#ifndef CMD_CREW_H
#define CMD_CREW_H

#include <pthread.h>
#include <semaphore.h>

#include "run.h"

#define CREW_MAX         256
#define PEER_THREADS     256  /* on the engine thread, unless max= says otherwise */
#define PEER_THREADS_MAX 4096 /* whatever it says */
#define PEER_STACK_BYTES (256 * 1024)

struct crew;

/* One loop and what the command runs on it. */
struct part {
    struct crew *crew;
    size_t index; /* 0: the main thread's */
    eye_loop *loop;
    int result;       /* of its start */
    const char *text; /* what its start reads, to show where that is wrong; or NULL */
    bool stopping, ended;
    pthread_t thread;
    int ask_fd;
    eye_op ask_op;
};

struct crew {
    struct run run;
    size_t count;
    struct part *parts;
    /* Begins what runs on the part's loop, on its thread; returns 0 or an error. stop is called after a start
     * that failed, too. */
    int (*start)(struct part *part, struct eye_err *reterr);
    /* Asks that to end; the command then, or when it ends by itself, calls part_ended on that thread. */
    void (*stop)(struct part *part, int64_t grace_ns);
    const struct common *common;
    bool each;                    /* a part for each peer */
    size_t begun;                 /* parts that were; all of them at once, unless each */
    size_t busy;                  /* parts with a peer or a handshake, of those */
    struct eye_observer observer; /* for the library, in the place of the events' */
    bool stopping;
    int64_t grace_ns;
    int news_fd; /* wakes the main loop */
    eye_op news_op;
    sem_t started;
    struct eye_err err;   /* why the part that was begun last could not be */
    const char *endpoint; /* whose peers the parts of the engine thread wait for */
    eye_op again_op;      /* timer: until a part is tried again that could not be begun */
    int64_t told_ns;      /* when the observer last heard of that */
};

/* Opens the main loop, and what the threads need. crew's start and stop were set; it must stay where it is.
 * Reports its errors; returns the exit status. */
int crew_open(struct crew *crew, const struct common *common);

/* Before the parts are made: of a crew that has a part for each peer there are as many as may be served at
 * once (max=), and the endpoint, which must outlive them, is divided among them. */
void crew_bound(struct crew *crew, const struct eye_endpoint *endpoint);
void crew_divide(const struct crew *crew, struct eye_endpoint *endpoint);

/* Starts all parts and runs until they have ended; returns the exit status of the first start that failed. */
int crew_run(struct crew *crew);
void part_ended(struct part *part);

/* As run_close. */
int crew_close(struct crew *crew, int status);

#endif
