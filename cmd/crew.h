/* crew.h: `--threads`: a command's servers on several loops, each on a thread of its own.
 *
 * The main thread has the first part, and alone takes signals and writes what `--events` could not write at
 * once. The others are asked to stop through an eventfd(2) each, and tell by one of the main thread's that
 * they have ended. A command without --threads is a crew of one. */
#ifndef CMD_CREW_H
#define CMD_CREW_H

#include <pthread.h>
#include <semaphore.h>

#include "run.h"

#define CREW_MAX 256

struct crew;

/* One loop and what the command runs on it. */
struct part {
    struct crew *crew;
    size_t index; /* 0: the main thread's */
    eye_loop *loop;
    int status; /* of its start */
    bool stopping, ended;
    pthread_t thread;
    int ask_fd;
    eye_op ask_op;
};

struct crew {
    struct run run;
    size_t count;
    struct part *parts;
    /* Begins what runs on the part's loop, on its thread; returns the exit status. stop is called after a
     * start that failed, too. */
    int (*start)(struct part *part);
    /* Asks that to end; the command then, or when it ends by itself, calls part_ended on that thread. */
    void (*stop)(struct part *part, int64_t grace_ns);
    const struct common *common;
    bool stopping;
    int64_t grace_ns;
    int news_fd; /* wakes the main loop */
    eye_op news_op;
    sem_t started;
};

/* Opens the main loop, and what the threads need. crew's start and stop were set; it must stay where it is.
 * Reports its errors; returns the exit status. */
int crew_open(struct crew *crew, const struct common *common);

/* Starts all parts and runs until they have ended; returns the exit status of the first start that failed. */
int crew_run(struct crew *crew);
void part_ended(struct part *part);

/* As run_close. */
int crew_close(struct crew *crew, int status);

#endif
