/* echo.c: `sockeye echo ENDPOINT...`: each peer gets back what it sends, until it ends. */
#include <stdlib.h>

#include "commands.h"
#include "output.h"
#include "run.h"

struct echo {
    struct run run;
    struct eye_handler handler;
    size_t count; /* servers that run */
    struct service {
        struct eye_endpoint endpoint;
        eye_server *server;
        eye_op stopped;
    } * services;
};

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void echo_stopped(eye_op *op, int64_t result) {
    struct echo *echo = op->user;
    struct service *service = eye_container_of(op, struct service, stopped);
    (void)result;
    service->server = eye_server_free(service->server);
    eye_endpoint_done(&service->endpoint);
    if (--echo->count == 0)
        run_ended(&echo->run);
}

static void echo_stop(struct run *run, int64_t grace_ns) {
    struct echo *echo = eye_container_of(run, struct echo, run);
    for (size_t i = 0, running = echo->count; i < running; i++) {
        echo->services[i].stopped.user = echo;
        eye_server_stop(echo->services[i].server, &echo->services[i].stopped, grace_ns, echo_stopped);
    }
}

static int echo_serve(struct echo *echo, const char *text) {
    struct service *service = &echo->services[echo->count];
    struct eye_err err;
    int status = run_endpoint(text, &service->endpoint);

    if (status)
        return status;
    if (eye_serve(echo->run.loop, &service->endpoint, &echo->handler, &service->server, &err) < 0) {
        eye_endpoint_done(&service->endpoint);
        return report_in(&err, text);
    }
    echo->count++;
    return STATUS_OK;
}

static int echo_run(const void *options, struct arguments arguments) {
    struct echo echo = {.services = calloc(arguments.count, sizeof *echo.services)};
    int status = echo.services ? run_open(&echo.run, options, echo_stop) : report_code(-ENOMEM, "endpoints");

    if (status == STATUS_OK) {
        echo.handler = (struct eye_handler){.data = echo_data, .observer = &echo.run.events.observer};
        for (size_t i = 0; i < arguments.count && !status; i++)
            status = echo_serve(&echo, arguments.list[i]);
        if (status)
            echo_stop(&echo.run, 0);
        if (echo.count > 0)
            run_loop(&echo.run);
        status = run_close(&echo.run, status);
    }
    free(echo.services);
    return status;
}

const struct command echo_command = {
    .name = "echo",
    .summary = "serves echo on any number of endpoints",
    .arguments = "ENDPOINT...",
    .about = "Listens on every ENDPOINT and sends each peer back what it sends, until the\n"
             "peer ends; all peers at once. Ends on SIGINT or SIGTERM.",
    .see_also = "*sockeye-endpoint*(7), *sockeye-connect*(1), *nc*(1)",
    .options = (const struct option_row *const[]){&option_engine, &option_grace, &option_events,
                                                  &option_verbose, &option_quiet, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .completes = COMPLETE_ENDPOINT,
    .run = echo_run,
};
