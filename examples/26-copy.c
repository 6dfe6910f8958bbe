/* Copies a file inside the kernel, whole or not at all, and says which way the bytes went. */
#include <inttypes.h>
#include <stdio.h>

#include <sockeye/sockeye.h>

int main(int argc, char **argv) {
    struct eye_copy_stats stats = {0};
    struct eye_err err;

    if (argc != 3) {
        fprintf(stderr, "usage: %s SRC DST\n", argv[0]);
        return 2;
    }
    if (eye_copy_file(argv[1], argv[2], NULL, &stats, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (enum eye_copy_step step = 0; step < EYE_COPY_STEP_MAX; step++)
        if (stats.bytes[step] > 0)
            printf("%s carried %" PRIu64 "\n", eye_copy_step_name(step), stats.bytes[step]);
    if (stats.hole_bytes > 0)
        printf("%" PRIu64 " were holes\n", stats.hole_bytes);
    return 0;
}
