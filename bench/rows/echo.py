"""TCP echo: requests on connections that stay, streams, and a connection for each request."""

from table import Goal, Row, Serve, bare, peer, sockeye

SMALL = bare("bare io_uring", "bare_uring", "{port}", "512", "1024")
LARGE = bare("bare io_uring", "bare_uring", "{port}", "65536", "32", "bundle")

PEERS = [
    peer("libuv", "peer_libuv", "{port}", "write", package="libuv1-dev"),
    peer("libuv try_write", "peer_libuv", "{port}", "try", package="libuv1-dev"),
    peer("libevent bufferevent", "peer_libevent", "{port}", package="libevent-dev"),
    peer("libev", "peer_libev", "{port}", package="libev-dev"),
]
OURS = [sockeye("sockeye {engine}", "echo", "--engine", "{engine}", "tcp:127.0.0.1:{port}")]


def rivals(ring):
    return [*OURS, bare("bare epoll", "bare_epoll", "{port}"), ring, *PEERS]


def requests(connections):
    return Row(f"echo-{connections}", f"TCP echo, 64 bytes, connections: {connections}",
               "CPU s per million requests", Serve(["echo", connections, 64, "{seconds}"], 1e6), rivals(SMALL),
               Goal(1.03, ("bare epoll", "bare io_uring")))


def streams(connections):
    return Row(f"stream-{connections}", f"TCP echo, streams of 64 KiB, connections: {connections}", "CPU s per GB",
               Serve(["echo", connections, 65536, "{seconds}"], 1e9 / 65536), rivals(LARGE),
               Goal(1.06, ("bare epoll", "bare io_uring")))


ROWS = [
    requests(1), requests(50), requests(1000), streams(1), streams(50),
    Row("connect", "connect, one request, close", "CPU s per million connections",
        Serve(["connect", 50, 64, "{seconds}"], 1e6), rivals(SMALL), Goal(0.88, ("libuv",))),
]
