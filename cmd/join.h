/* join.h: what connect, listen and relay have in common: for each peer of one endpoint, the other is
 * opened and the two are joined. */
#ifndef CMD_JOIN_H
#define CMD_JOIN_H

#include "options.h"

struct join {
    const char *from, *to; /* endpoints' texts */
    bool once;             /* end after the first peer, with its outcome as the exit status */
    enum eye_role refused; /* what the command cannot be told to do instead, or EYE_ROLE_ANY */
};

/* Runs until it has ended. Reports its errors; returns the exit status. */
int join(const struct common *common, const struct join *how);

#endif
