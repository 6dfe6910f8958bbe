/* The protocol and the two ends of what this host receives of an IP protocol, by a socket of raw(7): no
 * library, no link layer, fragments already put together. A protocol that has no name here has its number. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

static void text_of(const struct eye_tree *tree, const struct eye_packet *packet, const char *path, char *buf,
                    size_t size) {
    struct eye_field field;
    if (eye_tree_find(tree, packet, path, &field) < 0)
        snprintf(buf, size, "?");
    else if (field.word)
        snprintf(buf, size, "%s", field.word);
    else
        eye_field_text(packet, &field, buf, size);
}

static void show(const struct eye_packet *packet) {
    char proto[16], src[16], dst[16];
    struct eye_tree tree;
    eye_dissect(packet, 0, &tree);
    text_of(&tree, packet, "ip.proto", proto, sizeof proto);
    text_of(&tree, packet, "ip.src", src, sizeof src);
    text_of(&tree, packet, "ip.dst", dst, sizeof dst);
    printf("%s: %s -> %s\n", proto, src, dst);
}

int main(int argc, char **argv) {
    const char *spec = argc > 1 ? argv[1] : "ip:icmp";
    struct eye_packet packet;
    struct eye_err err;
    eye_source *source;

    setlinebuf(stdout);
    if (eye_source_open(spec, NULL, &source, &err) < 0)
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
