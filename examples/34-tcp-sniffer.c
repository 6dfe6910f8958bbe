/* Every field of the TCP header, and the data, of the segments that carry any: whole frames by a socket of
 * packet(7), a filter of pcap-filter(7), and the fields in the order in which they stand. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

static void show(const struct eye_packet *packet) {
    struct eye_cursor cursor = {0};
    struct eye_field field, data;
    struct eye_tree tree;
    char text[1024];

    eye_dissect(packet, EYE_DISSECT_VERIFY, &tree);
    if (eye_tree_find(&tree, packet, "payload.text", &data) < 0 || data.len == 0)
        return;
    printf("------------ %s --------------\n", eye_proto_title(EYE_PROTO_TCP));
    while (eye_tree_next(&tree, packet, &cursor, &field)) {
        if (tree.layer[field.layer].proto != EYE_PROTO_TCP || !field.title || field.kind == EYE_KIND_LIST ||
            field.depth > 0)
            continue;
        eye_field_text(packet, &field, text, sizeof text);
        if (field.scale) /* a length in words */
            printf("%s: %u (%s bytes)\n", field.title, (unsigned)(field.num >> field.scale), text);
        else
            printf("%s: %s\n", field.title, text);
    }
    eye_field_text(packet, &data, text, sizeof text);
    printf("--------------- %s -----------------\n%s\n", eye_proto_title(EYE_PROTO_PAYLOAD), text);
}

int main(int argc, char **argv) {
    const char *spec = argc > 1 ? argv[1] : "packet:lo", *filter = argc > 2 ? argv[2] : "tcp dst port 8000";
    const struct eye_source_opts opts = {.filter = filter};
    struct eye_packet packet;
    struct eye_err err;
    eye_source *source;

    setlinebuf(stdout);
    if (eye_source_open(spec, &opts, &source, &err) < 0)
        fail(&err);
    printf("listening on %s\n", spec);
    for (;;) {
        int r = eye_source_next(source, &packet, &err);
        if (r > 0)
            show(&packet);
        else if (r == -EAGAIN)
            poll(&(struct pollfd){.fd = eye_source_fd(source), .events = POLLIN}, 1, -1);
        else
            fail(&err);
    }
}
