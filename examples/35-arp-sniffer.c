/* Every field of ARP and of the Ethernet frame around it, as they pass an interface, by a socket of
 * packet(7). The type of a frame is a number that is compared with a number, whatever it is printed as. */
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
    struct eye_field field;
    struct eye_tree tree;
    char text[128];
    int layer = -1;

    eye_dissect(packet, 0, &tree);
    if (eye_tree_find(&tree, packet, "eth.type", &field) < 0 || field.num != 0x0806)
        return;
    while (eye_tree_next(&tree, packet, &cursor, &field)) {
        if (!field.title)
            continue;
        if (field.layer != layer) {
            layer = field.layer;
            printf("-------------- %s -------------\n", eye_proto_title(tree.layer[layer].proto));
        }
        eye_field_text(packet, &field, text, sizeof text);
        printf("%s: %s\n", field.title, text);
    }
}

int main(int argc, char **argv) {
    const char *spec = argc > 1 ? argv[1] : "packet:any";
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
