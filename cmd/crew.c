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
        part_stop(part, __atomic_load_n(&part->crew->grace_ns, __ATOMIC_ACQUIRE));
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
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    part->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (part->ask_fd < 0) {
        part->ended = true;
        return report_code(-errno, "--threads");
    }
    pthread_attr_init(&attr);
    if (part->crew->each)
        pthread_attr_setstacksize(&attr, PEER_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&part->thread, &attr, part_main, part);
    pthread_attr_destroy(&attr);
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

static void part_join(struct part *part) {
    if (part->ask_fd < 0)
        return;
    pthread_join(part->thread, NULL);
    close(part->ask_fd);
    part->ask_fd = -1;
}

static void crew_stop(struct run *run, int64_t grace_ns) {
    struct crew *crew = eye_container_of(run, struct crew, run);
    if (crew->stopping)
        return;
    crew->stopping = true;
    __atomic_store_n(&crew->grace_ns, grace_ns, __ATOMIC_RELEASE);
    for (size_t i = 1; i < crew->count; i++)
        if (crew->parts[i].ask_fd >= 0)
            eventfd_write(crew->parts[i].ask_fd, 1);
    part_stop(&crew->parts[0], grace_ns);
}

/* Begins parts until one waits for the next peer, or there are as many as may be. One that cannot be begun is
 * tried again with the next news. */
static void crew_grow(struct crew *crew) {
    while (crew->each && !crew->stopping && crew->begun < crew->count &&
           __atomic_load_n(&crew->busy, __ATOMIC_ACQUIRE) >= crew->begun) {
        struct part *part = &crew->parts[crew->begun];
        *part = (struct part){.crew = crew, .index = crew->begun, .ask_fd = -1};
        if (part_begin(part)) {
            part_join(part);
            return;
        }
        __atomic_store_n(&crew->begun, crew->begun + 1, __ATOMIC_RELEASE);
    }
}

/* On any thread: counts who has a peer. */
static void crew_event(void *user, const struct eye_event *event) {
    struct crew *crew = user;
    const struct eye_observer *events = &crew->run.events.observer;
    if (crew->each && event->kind == EYE_EVENT_CONNECTED && event->side == EYE_FROM &&
        __atomic_add_fetch(&crew->busy, 1, __ATOMIC_ACQ_REL) >=
            __atomic_load_n(&crew->begun, __ATOMIC_ACQUIRE))
        eventfd_write(crew->news_fd, 1);
    if (crew->each && event->kind == EYE_EVENT_CLOSED) {
        __atomic_sub_fetch(&crew->busy, 1, __ATOMIC_ACQ_REL);
        eventfd_write(crew->news_fd, 1); /* there may be descriptors for one that could not be begun */
    }
    events->event(events->user, event);
}

void crew_bound(struct crew *crew, const struct eye_endpoint *endpoint) {
    if (crew->each && endpoint->peers_max > 0 && (size_t)endpoint->peers_max < crew->count)
        crew->count = (size_t)endpoint->peers_max;
}

void crew_divide(const struct crew *crew, struct eye_endpoint *endpoint) {
    if (crew->each && crew->count > 1)
        endpoint->peers_max = (int64_t)crew->count;
}

/* A part has ended, or has left an event to be written. */
static void news_done(eye_op *op, int64_t result) {
    struct crew *crew = eye_container_of(op, struct crew, news_op);
    eventfd_t count;
    if (result < 0)
        return;
    eventfd_read(crew->news_fd, &count);
    events_tend(&crew->run.events);
    crew_grow(crew);
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
    crew->begun = crew->each ? 1 : crew->count;
    for (size_t i = 1; i < crew->count; i++) {
        if (status || i >= crew->begun)
            crew->parts[i].ended = true;
        else
            status = part_begin(&crew->parts[i]);
    }
    if (status)
        crew_stop(&crew->run, 0);
    while (!all_ended(crew))
        run_loop(&crew->run);
    for (size_t i = 1; i < crew->count; i++)
        part_join(&crew->parts[i]);
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
    crew->each = strcmp(common->engine, "thread") == 0;
    crew->count = crew->each ? CREW_MAX : common->threads > 0 ? (size_t)common->threads : 1;
    crew->observer = (struct eye_observer){.event = crew_event, .user = crew};
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
    crew->observer.without_addresses = crew->run.events.observer.without_addresses;
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
