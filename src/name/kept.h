/* kept.h: what a floor above has made of an endpoint and keeps with it, for all that use the endpoint,
 * on whatever thread: a TLS context costs milliseconds to make, and a throw-away certificate is one for all
 * listeners of its endpoint. The parser makes the cell, eye_endpoint_done releases what is in it. */
#ifndef SOCKEYE_KEPT_H
#define SOCKEYE_KEPT_H

#include <pthread.h>

struct eye_kept {
    pthread_mutex_t lock;
    void *made[2]; /* for dialling, for listening */
    void (*release)(void *made);
};

#endif
