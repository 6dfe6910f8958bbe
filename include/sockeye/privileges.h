/* privileges.h: giving up what a process does not need any more. */
#ifndef SOCKEYE_PRIVILEGES_H
#define SOCKEYE_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whom a process becomes. */
struct eye_user {
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* Finds a user by name or number, passwd(5). Errors: -ENOENT; what getpwnam_r(3) says. */
EYE_API int eye_user_find(const char *name, struct eye_user *ret_user, struct eye_err *reterr);

struct eye_drop_opts {
    const struct eye_user *user; /* whom to become, where the process is root; NULL: nobody else */
    bool insist;                 /* fail where that user cannot be had: in a namespace that does not map it */
    bool looks_up;               /* names will still be looked up: files may be read, sockets made */
    const char *writes;          /* a folder in which files will still be made and removed, or NULL */
};

/* What was given up. */
struct eye_dropped {
    bool user, capabilities, landlock, seccomp;
};

/* Gives up, in this order: the supplementary groups, the group and the user; every capability, of all sets
 * (capabilities(7)); the way to get any again (PR_SET_NO_NEW_PRIVS); opening files, but for opts->writes and
 * what looking up needs (landlock(7), where the kernel has it); starting programs, tracing, mounting, loading
 * code and, unless opts->looks_up, making sockets (seccomp(2), where it may be had: the calls fail with
 * EPERM). What is open stays open. Only what is held is given up, and it is the calling thread that gives it
 * up: call it before there is any other. Errors: the call's that failed; the process must end then, for it
 * has given up only a part. */
EYE_API int eye_privileges_drop(const struct eye_drop_opts *opts, struct eye_dropped *ret_dropped,
                                struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
