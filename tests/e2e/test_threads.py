"""--threads: servers on several loops."""

import collections
import contextlib
import os
import signal
import socket
import threading

import pytest

from peers import connect, receive_all, receive_exactly
from processes import DEADLINE_S, eventually

THREADS = "3"


def threads_of(process):
    """CPU ticks and the times that it has waited, by thread (proc(5))."""
    waits = {}
    for tid in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{tid}/status", encoding="ascii", errors="replace") as status:
            fields = dict(line.split(":", 1) for line in status)
        waits[int(tid)] = int(fields["voluntary_ctxt_switches"])
    return waits


@pytest.fixture
def serve(start_sockeye, tmp_path):
    """serve(command, target) starts a server that answers with what it gets, on several threads."""
    def start(command, target, *options):
        to = []
        if command == "relay":
            start_sockeye("echo", f"{tmp_path}/back").listening()
            to = [f"{tmp_path}/back"]
        if command == "listen":
            to = ["--exec", "cat"]
        return start_sockeye(command, "--threads", THREADS, *options, target, *to)
    return start


def test_every_thread_serves(serve, engine):
    if engine == "thread":
        pytest.skip("the engine thread has one for each peer")
    every_thread_serves(serve("echo", "tcp:127.0.0.1:0", "--engine", engine))


@pytest.mark.parametrize("command", ["relay", "listen"])
def test_every_thread_joins(serve, command):
    every_thread_serves(serve(command, "tcp:127.0.0.1:0"))


def every_thread_serves(server):
    address = server.listening()
    eventually(lambda: len(threads_of(server)) >= int(THREADS), "its threads")
    before = threads_of(server)
    with contextlib.ExitStack() as stack:
        # Which of them gets a peer is a matter of its port: all but surely each gets one of forty.
        socks = [stack.enter_context(connect(address)) for _ in range(40)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%d\n" % number)
        for number, sock in enumerate(socks):
            line = b"%d\n" % number
            assert receive_exactly(sock, len(line)) == line

        def all_served():  # each has slept anew since
            now = threads_of(server)
            return sum(count > before.get(tid, 0) for tid, count in now.items()) >= int(THREADS)
        eventually(all_served, "a peer for each thread")
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
    closed = server.wait_events(40, "closed")  # each a whole line, from whatever thread
    assert sorted(event["conn"] for event in closed) == list(range(1, 41))
    assert [event["event"] for event in server.events].count("listening") == 1


@pytest.mark.parametrize("target", ["udp:127.0.0.1:0", "udp:[::]:0", "unix-stream", "unix-dgram"])
def test_other_kinds_of_sockets(start_sockeye, tmp_path, target):
    path = tmp_path / "s"
    with contextlib.ExitStack() as stack:
        target = {"unix-stream": f"{path}", "unix-dgram": f"unix:{path},type=dgram"}.get(target, target)
        server = start_sockeye("echo", "--threads", THREADS, target)
        address = server.listening()
        for number in range(20):
            if target.startswith("udp"):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.connect(("127.0.0.1", address.port))
            elif "dgram" in target:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                sock.bind(f"{tmp_path}/{number}")
                stack.callback(os.unlink, f"{tmp_path}/{number}")
                sock.connect(str(path))
            else:
                sock = connect(address)
            stack.enter_context(sock)
            sock.settimeout(DEADLINE_S)
            sock.send(b"%d" % number)
            assert sock.recv(10) == b"%d" % number
    assert server.stop() == 128 + signal.SIGTERM
    assert not path.exists()


def test_an_address_in_use(start_sockeye, run_sockeye):
    """Its own threads share the port, and nobody else does."""
    address = start_sockeye("echo", "--threads", "2", "tcp:127.0.0.1:0").listening()
    for threads in ("1", "2"):
        result = run_sockeye("echo", "--threads", threads, address.text)
        assert result.status == 4 and "address already in use" in result.err


@pytest.mark.parametrize("options", [(), ("--threads", THREADS)], ids=["one", "threads"])
def test_no_connection_is_lost_at_the_end(start_sockeye, engine, options):
    """Who was connected is served, though the server has been told to end: either connect(2) is refused, or
    the whole answer comes."""
    if options and engine == "thread":
        pytest.skip("the engine thread has one for each peer")
    server = start_sockeye("echo", "--engine", engine, *options, "tcp:127.0.0.1:0")
    address = server.listening()
    outcomes, begun = collections.Counter(), threading.Barrier(5)

    def client():
        begun.wait()
        while True:
            try:
                sock = socket.create_connection(address[:2], DEADLINE_S)
            except (ConnectionRefusedError, ConnectionResetError):
                return
            with sock:
                try:
                    sock.sendall(b"there?")
                    sock.shutdown(socket.SHUT_WR)
                    outcomes[receive_all(sock)] += 1
                except OSError as error:
                    outcomes[error] += 1

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    begun.wait()
    server.wait_events(20, "closed")
    assert server.stop() == 128 + signal.SIGTERM
    for thread in clients:
        thread.join()
    assert set(outcomes) == {b"there?"}, outcomes


def test_the_grace_is_every_threads(serve, tmp_path):
    """All peers get it, and those that are left after it are ended."""
    server = serve("echo", "tcp:127.0.0.1:0", "--grace", "300ms")
    address = server.listening()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(address)) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"x")
            assert receive_exactly(sock, 1) == b"x"
        server.kill(signal.SIGTERM)
        for sock in socks[:10]:
            sock.sendall(b"last words")
            assert receive_exactly(sock, 10) == b"last words"
            sock.close()
        assert server.wait() == 128 + signal.SIGTERM
    reasons = collections.Counter(event["reason"] for event in server.wait_events(20, "closed"))
    assert reasons == {"end": 10, "timeout": 10}


def test_a_second_signal_ends_at_once(serve):
    server = serve("echo", "tcp:127.0.0.1:0", "--grace", "1m")
    with connect(server.listening()) as sock:
        sock.sendall(b"x")
        assert receive_exactly(sock, 1) == b"x"
        server.kill(signal.SIGTERM)
        eventually(lambda: refused(server), "the first one's effect")
        assert server.stop() == 128 + signal.SIGTERM


def refused(server):
    try:
        connect(server.listening()).close()
        return False
    except OSError:
        return True


@pytest.mark.parametrize("args", [
    ("echo", "--threads", "0", "tcp:127.0.0.1:0"),
    ("echo", "--threads", "257", "tcp:127.0.0.1:0"),
    ("echo", "--threads", "3", "tcp:127.0.0.1:0,max=2"),
    ("echo", "--threads", "2", "fd:0"),
    ("echo", "--threads", "2", "--engine", "thread", "tcp:127.0.0.1:0"),
    ("listen", "--threads", "2", "tcp:127.0.0.1:0"),
    ("listen", "--threads", "2", "--keep", "tcp:127.0.0.1:0"),
    ("relay", "--threads", "2", "--once", "tcp:127.0.0.1:0", "tcp:127.0.0.1:9"),
    ("relay", "--threads", "2", "tcp:127.0.0.1:0", "-"),
    ("relay", "--threads", "2", "exec:cat", "tcp:127.0.0.1:9"),
    ("relay", "--threads", "2", "udp:127.0.0.1:0", "tcp:127.0.0.1:9"),
    ("relay", "--threads", "2", "tcp:127.0.0.1:0", "tcp:127.0.0.1:0,listen"),
], ids=" ".join)
def test_where_it_makes_no_sense(run_sockeye, args):
    result = run_sockeye(*args)
    assert result.status == 2 and result.out == b""
    assert len(result.err.splitlines()) == 1 and "thread" in result.err


def test_max_is_divided(serve):
    server = serve("echo", "tcp:127.0.0.1:0,max=3")
    address = server.listening()
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(address)).sendall(b"x")
        server.wait_events(3, "connected")
    served = open_most = 0
    for event in server.wait_events(30, "closed") and server.events:
        served += (event["event"] == "connected") - (event["event"] == "closed")
        open_most = max(open_most, served)
    assert open_most == 3
