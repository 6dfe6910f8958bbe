#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "output.h"

static bool has_ended(const struct part *part) {
    return __atomic_load_n(&part->ended, __ATOMIC_ACQUIRE);
}

void part_ended(struct part *part) {
    __atomic_store_n(&part->ended, true, __ATOMIC_RELEASE);
    eye_loop_stop(part->loop);
}

/* On its thread; once. */
static void part_stop(struct part *part, int64_t grace_ns) {
    if (!part->stopping && !has_ended(part)) {
        part->stopping = true;
        part->crew->stop(part, grace_ns);
    }
}

/* ---- on a part's thread ---- */

static void asked(eye_op *op, int64_t result) {
    struct part *part = eye_container_of(op, struct part, ask_op);
    if (result >= 0)
        part_stop(part, part->crew->grace_ns);
}

/* Where the engine fails, nothing that stands on it can end in good order: the process ends, as run_loop
 * does. */
static void part_loop(const struct part *part) {
    int64_t r = eye_loop_run(part->loop, -1);
    if (r < 0)
        exit(output_end(report_code((int)r, eye_loop_engine(part->loop))));
}

static void *part_main(void *user) {
    struct part *part = user;
    const struct eye_loop_opts opts = {.engine = part->crew->common->engine};
    struct eye_err err;

    if (eye_loop_new(&opts, &part->loop, &err) < 0) {
        part->status = report(&err);
        part->ended = true;
        sem_post(&part->crew->started);
        return NULL;
    }
    eye_poll(part->loop, &part->ask_op, part->ask_fd, EYE_IN, asked);
    part->status = part->crew->start(part);
    if (part->status)
        part_stop(part, 0);
    sem_post(&part->crew->started);
    while (!has_ended(part))
        part_loop(part);
    eye_cancel(part->loop, &part->ask_op);
    part_loop(part);
    eye_loop_free(part->loop);
    eventfd_write(part->crew->news_fd, 1);
    return NULL;
}

/* With all signals blocked: they are the main thread's. Returns the exit status of its start. */
static int part_begin(struct part *part) {
    sigset_t all, old;
    int r;

    part->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (part->ask_fd < 0) {
        part->ended = true;
        return report_code(-errno, "--threads");
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&part->thread, NULL, part_main, part);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0) {
        close(part->ask_fd);
        part->ask_fd = -1;
        part->ended = true;
        return report_code(-r, "--threads");
    }
    while (sem_wait(&part->crew->started) < 0)
        ;
    return part->status;
}

/* ---- on the main thread ---- */

static void crew_stop(struct run *run, int64_t grace_ns) {
    struct crew *crew = eye_container_of(run, struct crew, run);
    if (crew->stopping)
        return;
    crew->stopping = true;
    crew->grace_ns = grace_ns;
    for (size_t i = 1; i < crew->count; i++)
        if (crew->parts[i].ask_fd >= 0)
            eventfd_write(crew->parts[i].ask_fd, 1);
    part_stop(&crew->parts[0], grace_ns);
}

/* A part has ended, or has left an event to be written. */
static void news_done(eye_op *op, int64_t result) {
    struct crew *crew = eye_container_of(op, struct crew, news_op);
    eventfd_t count;
    if (result < 0)
        return;
    eventfd_read(crew->news_fd, &count);
    events_tend(&crew->run.events);
    eye_poll(crew->run.loop, op, crew->news_fd, EYE_IN, news_done);
    eye_loop_stop(crew->run.loop);
}

static bool all_ended(const struct crew *crew) {
    size_t i = 0;
    while (i < crew->count && has_ended(&crew->parts[i]))
        i++;
    return i == crew->count;
}

int crew_run(struct crew *crew) {
    int status = crew->start(&crew->parts[0]);
    for (size_t i = 1; i < crew->count; i++) {
        if (status)
            crew->parts[i].ended = true;
        else
            status = part_begin(&crew->parts[i]);
    }
    if (status)
        crew_stop(&crew->run, 0);
    while (!all_ended(crew))
        run_loop(&crew->run);
    for (size_t i = 1; i < crew->count; i++) {
        if (crew->parts[i].ask_fd < 0)
            continue;
        pthread_join(crew->parts[i].thread, NULL);
        close(crew->parts[i].ask_fd);
    }
    return status;
}

static int crew_refused(const struct common *common) {
    struct eye_err err;
    if (common->threads > CREW_MAX)
        return usage_error(&err, NULL, "--threads: at most %d", CREW_MAX), report(&err);
    if (common->threads > 1 && strcmp(common->engine, "thread") == 0)
        return usage_error(&err, NULL,
                           "--threads does not go with --engine thread, which has one for each peer"),
               report(&err);
    return STATUS_OK;
}

int crew_open(struct crew *crew, const struct common *common) {
    int status = crew_refused(common);
    if (status)
        return status;
    crew->common = common;
    crew->count = common->threads > 0 ? (size_t)common->threads : 1;
    crew->news_fd = -1;
    crew->parts = calloc(crew->count, sizeof *crew->parts);
    if (!crew->parts)
        return report_code(-ENOMEM, "--threads");
    for (size_t i = 0; i < crew->count; i++)
        crew->parts[i] = (struct part){.crew = crew, .index = i, .ask_fd = -1};
    status = run_open(&crew->run, common, crew_stop);
    if (status) {
        free(crew->parts);
        return status;
    }
    crew->parts[0].loop = crew->run.loop;
    if (crew->count == 1)
        return STATUS_OK;
    crew->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (crew->news_fd < 0)
        return crew_close(crew, report_code(-errno, "--threads"));
    sem_init(&crew->started, 0, 0);
    eye_poll(crew->run.loop, &crew->news_op, crew->news_fd, EYE_IN, news_done);
    events_share(&crew->run.events, crew->news_fd);
    return STATUS_OK;
}

int crew_close(struct crew *crew, int status) {
    crew->run.stop = NULL;
    eye_cancel(crew->run.loop, &crew->news_op);
    free(crew->parts);
    status = run_close(&crew->run, status);
    if (crew->news_fd >= 0) {
        close(crew->news_fd);
        sem_destroy(&crew->started);
    }
    return status;
}
