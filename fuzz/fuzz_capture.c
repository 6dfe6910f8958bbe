/* fuzz_capture.c: any bytes as a capture file, pcap or pcapng, and each packet that it gives dissected. A
 * packet must be of a size that was promised; the file ends, or is refused with one safe line. */
#include <sys/mman.h>
#include <unistd.h>

#include <sockeye/capture.h>

#include "fuzz.h"

static void read_all(eye_source *source) {
    static struct eye_tree tree;
    struct eye_packet packet;
    struct eye_err err = {0};
    int r;
    while ((r = eye_source_next(source, &packet, &err)) > 0) {
        MUST(packet.caplen <= EYE_SNAPLEN_MAX);
        MUST(packet.data || packet.caplen == 0);
        MUST(eye_dissect(&packet, EYE_DISSECT_VERIFY, &tree) <= EYE_LAYER_MAX);
    }
    MUST(r == 0 || (err.text[0] && fuzz_is_line(err.text) && fuzz_is_line(err.cause)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    char spec[64];
    eye_source *source;
    struct eye_err err = {0};

    if (fd < 0)
        MUST((fd = memfd_create("capture", MFD_CLOEXEC)) >= 0);
    MUST(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(spec, sizeof(spec), "file:/proc/self/fd/%d", fd);
    if (eye_source_open(spec, NULL, &source, &err) < 0) {
        MUST(err.text[0] && fuzz_is_line(err.text) && fuzz_is_line(err.cause));
        return 0;
    }
    read_all(source);
    eye_source_free(source);
    return 0;
}
