/* ring_features.h: what the engine io_uring makes use of where the kernel has it. */
#ifndef SOCKEYE_RING_FEATURES_H
#define SOCKEYE_RING_FEATURES_H

#include <stddef.h>

struct ring_feature {
    const char *name, *since, *instead; /* as in struct eye_mechanism */
    int (*attempt)(void);               /* uses it once: 0, or -ENOSYS where this kernel has it not */
};

/* The index-th, or NULL past the last. */
const struct ring_feature *ring_feature(size_t index);

#endif
