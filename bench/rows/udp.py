"""UDP echo: single datagrams, and those that the kernel joins and cuts."""

import socket

from table import Goal, Row, Serve, bare, peer, sockeye

BATCHES = bare("bare recvmmsg", "bare_udp", "{port}", "mmsg")
JOINED = bare("bare GRO and GSO", "bare_udp", "{port}", "joined")
OTHERS = [bare("bare recvfrom", "bare_udp", "{port}", "single"),
          peer("libuv", "peer_libuv", "{port}", "udp", package="libuv1-dev")]
OURS = sockeye("sockeye {engine}", "echo", "--engine", "{engine}", "udp:127.0.0.1:{port}")


def datagrams(*words):
    return Serve(["datagram", 1, 64, "{seconds}", 256, *words], 1e6, socket.SOCK_DGRAM)


ROWS = [
    Row("udp", "UDP echo, 64 bytes, a window of 256", "CPU s per million datagrams", datagrams(),
        [OURS, BATCHES, JOINED, *OTHERS], Goal(1.05, ("bare recvmmsg",))),
    Row("udp-joined", "UDP echo, 64 bytes, from a sender with UDP_SEGMENT", "CPU s per million datagrams",
        datagrams("joined"), [OURS, BATCHES, JOINED, *OTHERS], Goal(0.2)),
]
