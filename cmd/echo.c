/* echo.c: `sockeye echo ENDPOINT...`: each peer gets back what it sends, until it ends. */
#include <errno.h>
#include <stdlib.h>

#include "commands.h"
#include "crew.h"
#include "output.h"

/* An endpoint on one of the loops. */
struct service {
    const struct eye_endpoint *endpoint;
    eye_server *server;
    eye_op stopped; /* its user is the part */
};

struct echo {
    struct crew crew;
    struct eye_handler handler;
    size_t count, opened; /* endpoints, and those that are open */
    struct eye_endpoint *endpoints;
    struct eye_endpoint *shares; /* of each endpoint one for each part */
    struct service *services;    /* of each part one for each endpoint */
    size_t *serving;             /* by part, how many of them serve */
};

static struct echo *echo_of(const struct part *part) {
    return eye_container_of(part->crew, struct echo, crew);
}

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void echo_stopped(eye_op *op, int64_t result) {
    struct part *part = op->user;
    struct service *service = eye_container_of(op, struct service, stopped);
    (void)result;
    service->server = eye_server_free(service->server);
    if (--echo_of(part)->serving[part->index] == 0)
        part_ended(part);
}

static void echo_stop(struct part *part, int64_t grace_ns) {
    struct echo *echo = echo_of(part);
    size_t serving = echo->serving[part->index];
    if (serving == 0)
        part_ended(part);
    for (size_t i = 0; i < serving; i++) {
        struct service *service = &echo->services[part->index * echo->count + i];
        service->stopped.user = part;
        eye_server_stop(service->server, &service->stopped, grace_ns, echo_stopped);
    }
}

static int echo_start(struct part *part, struct eye_err *reterr) {
    struct echo *echo = echo_of(part);
    for (size_t i = 0; i < echo->count; i++) {
        struct service *service = &echo->services[part->index * echo->count + i];
        service->endpoint =
            echo->shares ? &echo->shares[i * echo->crew.count + part->index] : &echo->endpoints[i];
        part->text = service->endpoint->text;
        int r = eye_serve(part->loop, service->endpoint, &echo->handler, &service->server, reterr);
        if (r < 0)
            return r;
        echo->serving[part->index]++;
    }
    return 0;
}

static int echo_read(struct echo *echo, char **texts) {
    for (; echo->opened < echo->count; echo->opened++) {
        int status = run_endpoint(texts[echo->opened], &echo->endpoints[echo->opened]);
        if (status)
            return status;
        crew_bound(&echo->crew, &echo->endpoints[echo->opened]);
    }
    return STATUS_OK;
}

/* Makes what the parts need, and opens the endpoints for all of them where there are several. */
static int echo_open(struct echo *echo) {
    size_t parts = echo->crew.count;
    struct eye_err err;
    echo->shares = parts > 1 ? calloc(echo->count * parts, sizeof *echo->shares) : NULL;
    echo->services = calloc(echo->count * parts, sizeof *echo->services);
    echo->serving = calloc(parts, sizeof *echo->serving);
    if ((parts > 1 && !echo->shares) || !echo->services || !echo->serving)
        return report_code(-ENOMEM, "endpoints");
    for (size_t i = 0; i < echo->count && echo->shares; i++) {
        crew_divide(&echo->crew, &echo->endpoints[i]);
        if (eye_share(echo->crew.run.loop, &echo->endpoints[i], parts, &echo->shares[i * parts], &err) < 0)
            return report_in(&err, echo->endpoints[i].text);
    }
    return STATUS_OK;
}

static int echo_serve(struct echo *echo, char **texts) {
    int status;
    echo->endpoints = calloc(echo->count, sizeof *echo->endpoints);
    status = echo->endpoints ? echo_read(echo, texts) : report_code(-ENOMEM, "endpoints");
    if (status == STATUS_OK)
        status = echo_open(echo);
    if (status == STATUS_OK)
        status = crew_run(&echo->crew);
    for (size_t i = 0; i < echo->opened; i++) {
        if (echo->shares)
            eye_shares_done(&echo->shares[i * echo->crew.count], echo->crew.count);
        eye_endpoint_done(&echo->endpoints[i]);
    }
    free(echo->endpoints);
    free(echo->shares);
    free(echo->services);
    free(echo->serving);
    return status;
}

static int echo_run(const void *options, struct arguments arguments) {
    struct echo echo = {.crew = {.start = echo_start, .stop = echo_stop}, .count = arguments.count};
    int status = crew_open(&echo.crew, options);
    if (status)
        return status;
    echo.handler = (struct eye_handler){.data = echo_data, .observer = &echo.crew.observer};
    return crew_close(&echo.crew, echo_serve(&echo, arguments.list));
}

const struct command echo_command = {
    .name = "echo",
    .summary = "serves echo on any number of endpoints",
    .arguments = "ENDPOINT...",
    .about = "Listens on every ENDPOINT and sends each peer back what it sends, until the\n"
             "peer ends; all peers at once. Ends on SIGINT or SIGTERM.",
    .see_also = "*sockeye-endpoint*(7), *sockeye-connect*(1), *nc*(1)",
    .options = (const struct option_row *const[]){&option_crew, &option_engine, &option_grace, &option_events,
                                                  &option_verbose, &option_quiet, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .completes = COMPLETE_ENDPOINT,
    .run = echo_run,
};
