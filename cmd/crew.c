#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "output.h"

/* Before a part is tried again that could not be begun, and between two that are told. */
#define PAUSE_NS      INT64_C(100000000)
#define TELL_PAUSE_NS INT64_C(1000000000)

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

/* Waits for an eventfd(2) that another thread writes to. Where even that cannot be waited for, for want of
 * memory, it is looked at after a while. */
static void await_other(eye_loop *loop, eye_op *op, int fd, int64_t result, eye_done *done) {
    if (result < 0)
        eye_timer(loop, op, eye_loop_now(loop) + PAUSE_NS, done);
    else
        eye_poll(loop, op, fd, EYE_IN, done);
}

static void asked(eye_op *op, int64_t result) {
    struct part *part = eye_container_of(op, struct part, ask_op);
    eventfd_t count;
    if (result == -ECANCELED)
        return;
    if (eventfd_read(part->ask_fd, &count) == 0)
        part_stop(part, __atomic_load_n(&part->crew->grace_ns, __ATOMIC_ACQUIRE));
    else
        await_other(part->loop, op, part->ask_fd, result, asked);
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

    part->result = eye_loop_new(&opts, &part->loop, &part->crew->err);
    if (part->result < 0) {
        part->ended = true;
        sem_post(&part->crew->started);
        return NULL;
    }
    await_other(part->loop, &part->ask_op, part->ask_fd, 0, asked);
    part->result = part->crew->start(part, &part->crew->err);
    if (part->result < 0)
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

static int no_part(struct part *part, int code) {
    part->ended = true;
    snprintf(part->crew->err.text, sizeof part->crew->err.text, "a thread: %s", eye_strerror(code));
    return part->crew->err.code = code;
}

/* With all signals blocked: they are the main thread's. Returns the result of its start; the error is in
 * crew->err. */
static int part_begin(struct part *part) {
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    part->ended = false;
    part->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    part->crew->err = (struct eye_err){.column = EYE_NO_COLUMN};
    if (part->ask_fd < 0)
        return no_part(part, -errno);
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
        return no_part(part, -r);
    }
    while (sem_wait(&part->crew->started) < 0)
        ;
    return part->result;
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

static void crew_grow(struct crew *crew);

static void again_done(eye_op *op, int64_t result) {
    if (result >= 0)
        crew_grow(eye_container_of(op, struct crew, again_op));
}

static void crew_pause(struct crew *crew) {
    const struct eye_observer *events = &crew->run.events.observer;
    int64_t now_ns = eye_loop_now(crew->run.loop);
    eye_timer(crew->run.loop, &crew->again_op, now_ns + PAUSE_NS, again_done);
    if (crew->told_ns && now_ns - crew->told_ns < TELL_PAUSE_NS)
        return;
    crew->told_ns = now_ns;
    struct eye_err err = {.code = crew->err.code, .fail = crew->err.fail, .column = EYE_NO_COLUMN};
    snprintf(err.text, sizeof err.text, "%s: not accepting for a while: %s", crew->endpoint,
             eye_strerror(err.code));
    events->event(events->user,
                  &(struct eye_event){.kind = EYE_EVENT_PAUSED, .endpoint = crew->endpoint, .error = &err});
}

/* Begins parts until one waits for the next peer, or there are as many as may be. */
static void crew_grow(struct crew *crew) {
    while (crew->each && !crew->stopping && !eye_op_pending(&crew->again_op) && crew->begun < crew->count &&
           __atomic_load_n(&crew->busy, __ATOMIC_ACQUIRE) >= crew->begun) {
        struct part *part = &crew->parts[crew->begun];
        *part = (struct part){.crew = crew, .index = crew->begun, .ask_fd = -1};
        if (part_begin(part) < 0) {
            part_join(part);
            crew_pause(crew);
            return;
        }
        __atomic_store_n(&crew->begun, crew->begun + 1, __ATOMIC_RELEASE);
    }
}

/* On any thread: counts who has a peer, from the start of its handshake. */
static void crew_shaking(void *user, int change) {
    struct crew *crew = user;
    if (crew->each && __atomic_add_fetch(&crew->busy, (size_t)change, __ATOMIC_ACQ_REL) >=
                          __atomic_load_n(&crew->begun, __ATOMIC_ACQUIRE))
        eventfd_write(crew->news_fd, 1);
}

static void crew_event(void *user, const struct eye_event *event) {
    struct crew *crew = user;
    const struct eye_observer *events = &crew->run.events.observer;
    if (event->kind == EYE_EVENT_CONNECTED && event->side == EYE_FROM)
        crew_shaking(crew, 1);
    if (event->kind == EYE_EVENT_CLOSED)
        crew_shaking(crew, -1);
    events->event(events->user, event);
}

void crew_bound(struct crew *crew, const struct eye_endpoint *endpoint) {
    size_t most = endpoint->peers_max > 0 ? (size_t)endpoint->peers_max : PEER_THREADS;
    if (!crew->each)
        return;
    if (most > PEER_THREADS_MAX)
        most = PEER_THREADS_MAX;
    if (!crew->endpoint || most < crew->count)
        crew->count = most;
    crew->endpoint = crew->endpoint ? crew->endpoint : endpoint->text;
}

void crew_divide(const struct crew *crew, struct eye_endpoint *endpoint) {
    if (crew->each && crew->count > 1)
        endpoint->peers_max = (int64_t)crew->count;
}

/* A part has ended, or has left an event to be written. */
static void news_done(eye_op *op, int64_t result) {
    struct crew *crew = eye_container_of(op, struct crew, news_op);
    eventfd_t count;
    if (result == -ECANCELED)
        return;
    eventfd_read(crew->news_fd, &count);
    events_tend(&crew->run.events);
    crew_grow(crew);
    await_other(crew->run.loop, op, crew->news_fd, result, news_done);
    eye_loop_stop(crew->run.loop);
}

static bool all_ended(const struct crew *crew) {
    size_t i = 0;
    while (i < crew->count && has_ended(&crew->parts[i]))
        i++;
    return i == crew->count;
}

static int part_report(const struct part *part) {
    const struct eye_err *err = &part->crew->err;
    return part->text ? report_in(err, part->text) : report(err);
}

int crew_run(struct crew *crew) {
    int status = STATUS_OK;
    crew->parts = calloc(crew->count, sizeof *crew->parts);
    if (!crew->parts)
        return report_code(-ENOMEM, "--threads");
    for (size_t i = 0; i < crew->count; i++)
        crew->parts[i] = (struct part){.crew = crew, .index = i, .ask_fd = -1, .ended = i > 0};
    crew->parts[0].loop = crew->run.loop;
    if (crew->start(&crew->parts[0], &crew->err) < 0)
        status = part_report(&crew->parts[0]);
    for (crew->begun = 1; !crew->each && status == STATUS_OK && crew->begun < crew->count; crew->begun++)
        if (part_begin(&crew->parts[crew->begun]) < 0)
            status = part_report(&crew->parts[crew->begun]);
    if (status)
        crew_stop(&crew->run, 0);
    while (!all_ended(crew))
        run_loop(&crew->run);
    for (size_t i = 1; i < crew->count; i++)
        part_join(&crew->parts[i]);
    free(crew->parts);
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
    crew->count = crew->each ? PEER_THREADS : common->threads > 0 ? (size_t)common->threads : 1;
    crew->observer = (struct eye_observer){.event = crew_event, .shaking = crew_shaking, .user = crew};
    crew->news_fd = -1;
    status = run_open(&crew->run, common, crew_stop);
    if (status)
        return status;
    crew->observer.without_addresses = crew->run.events.observer.without_addresses;
    if (crew->count == 1)
        return STATUS_OK;
    crew->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (crew->news_fd < 0)
        return crew_close(crew, report_code(-errno, "--threads"));
    sem_init(&crew->started, 0, 0);
    await_other(crew->run.loop, &crew->news_op, crew->news_fd, 0, news_done);
    events_share(&crew->run.events, crew->news_fd);
    return STATUS_OK;
}

int crew_close(struct crew *crew, int status) {
    crew->run.stop = NULL;
    eye_cancel(crew->run.loop, &crew->news_op);
    eye_cancel(crew->run.loop, &crew->again_op);
    status = run_close(&crew->run, status);
    if (crew->news_fd >= 0) {
        close(crew->news_fd);
        sem_destroy(&crew->started);
    }
    return status;
}
