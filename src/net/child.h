/* child.h: children, for the rest of this floor. */
#ifndef SOCKEYE_CHILD_H
#define SOCKEYE_CHILD_H

#include <sockeye/stream.h>

#include "loop/loop.h"
#include "sys/spawn.h"

/* Starts command; its descriptors stay the caller's. */
int child_new(eye_loop *loop, const char *command, const struct spawn_io *io, eye_child **ret_child);

#endif
