/* doctor.h: what this host allows. Each mechanism is tried, not guessed from versions. */
#ifndef SOCKEYE_DOCTOR_H
#define SOCKEYE_DOCTOR_H

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

enum eye_status { EYE_USABLE, EYE_DENIED, EYE_ABSENT };

struct eye_mechanism {
    const char *area, *name; /* "engine", "epoll"; static */
    const char *since;       /* the first kernel that has it, "Linux 2.6", or ""; static */
    enum eye_status status;
    int error;         /* the -errno of the attempt, or 0 */
    char detail[128];  /* what was measured: a limit, an address */
    char cause[256];   /* the likely cause where it is not usable */
    char instead[128]; /* what sockeye uses then */
};

/* Tries mechanism number index and tells how it went: returns 1, or 0 past the last. */
EYE_API int eye_doctor(size_t index, struct eye_mechanism *ret_mechanism);

/* "usable", "denied" or "absent". */
EYE_API const char *eye_status_name(enum eye_status status);

#ifdef __cplusplus
}
#endif
#endif
