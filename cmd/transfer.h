/* transfer.h: what `send` and `recv` share. */
#ifndef CMD_TRANSFER_H
#define CMD_TRANSFER_H

#include <sockeye/transfer.h>

#include "options.h"

struct transfer_options {
    struct common common;
    bool listen, raw;
    bool no_digest;                /* send */
    bool keep, overwrite, no_sync; /* recv */
};

extern const struct option_row option_listen, option_transfer_verbose;

typedef void transfer_fn(eye_loop *loop, eye_op *op, const struct eye_transfer_opts *opts,
                         struct eye_transfer_result *ret, eye_done *done);

/* Runs a transfer over the endpoint that text names; opts says what of it. Reports its errors; returns the
 * exit status. */
int transfer_run(const struct transfer_options *options, transfer_fn *run, const char *text,
                 struct eye_transfer_opts *opts);

#endif
