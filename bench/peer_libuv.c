/* peer_libuv.c PORT write|try|udp: echo by libuv: with uv_write, with uv_try_write first, or of datagrams. */
#include <uv.h>

#include "bare.h"

struct answer {
    uv_write_t request;
    uv_buf_t buffer;
    char bytes[];
};

static int try_first;
static char shared[65536], batch[20 * 65536];

static void closed(uv_handle_t *handle) {
    free(handle);
}

static void written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void room(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(shared, sizeof shared);
}

/* The bytes are the library's until they are written, and the buffer serves all: a copy. */
static void write_copy(uv_stream_t *stream, const char *bytes, size_t size) {
    struct answer *answer = malloc(sizeof *answer + size);
    memcpy(answer->bytes, bytes, size);
    answer->buffer = uv_buf_init(answer->bytes, (unsigned)size);
    uv_write(&answer->request, stream, &answer->buffer, 1, written);
}

static void came(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    uv_buf_t all = uv_buf_init(buffer->base, (unsigned)size);
    int n = size > 0 && try_first ? uv_try_write(stream, &all, 1) : 0;
    n = n < 0 ? 0 : n;
    if (size < 0)
        uv_close((uv_handle_t *)stream, closed);
    else if (n < size)
        write_copy(stream, buffer->base + n, (size_t)(size - n));
}

static void arrived(uv_stream_t *listener, int status) {
    uv_tcp_t *peer = malloc(sizeof *peer);
    (void)status;
    uv_tcp_init(listener->loop, peer);
    if (uv_accept(listener, (uv_stream_t *)peer) == 0)
        uv_read_start((uv_stream_t *)peer, room, came);
    else
        uv_close((uv_handle_t *)peer, closed);
}

static void batch_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(batch, sizeof batch);
}

static void datagram(uv_udp_t *socket, ssize_t size, const uv_buf_t *buffer, const struct sockaddr *peer,
                     unsigned flags) {
    (void)flags;
    if (size > 0 && peer) {
        uv_buf_t all = uv_buf_init(buffer->base, (unsigned)size);
        uv_udp_try_send(socket, &all, 1, peer);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in at;
    uv_loop_t *loop = uv_default_loop();
    static uv_tcp_t tcp;
    static uv_udp_t udp;
    if (argc < 3)
        return 2;
    keep_memory();
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &at);
    try_first = strcmp(argv[2], "try") == 0;
    if (strcmp(argv[2], "udp") == 0) {
        uv_udp_init_ex(loop, &udp, UV_UDP_RECVMMSG);
        if (uv_udp_bind(&udp, (struct sockaddr *)&at, 0) != 0)
            return 1;
        uv_udp_recv_start(&udp, batch_room, datagram);
    } else {
        uv_tcp_init(loop, &tcp);
        if (uv_tcp_bind(&tcp, (struct sockaddr *)&at, 0) != 0 ||
            uv_listen((uv_stream_t *)&tcp, 4096, arrived) != 0)
            return 1;
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}
