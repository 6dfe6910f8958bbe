"""What the engines promise besides being alike: refused ones, and peers at their limits."""

import contextlib
import json
import pathlib
import signal
import sys

import pytest

from peers import connect

DENY = pathlib.Path(__file__).resolve().parents[1] / "harness" / "deny"


@pytest.fixture
def deny_io_uring(start):
    """The words that stand before a command that is to be refused io_uring."""
    prefix = (sys.executable, DENY, "io_uring_setup=EPERM", "--")
    if start(*prefix, "true").wait():
        pytest.skip("no seccomp filter to be had here")
    return prefix


def test_denied_by_name_is_8(start, sockeye, needs, deny_io_uring):
    needs("engine", "io_uring")
    echo = start(*deny_io_uring, sockeye, "echo", "--engine", "io_uring", "127.0.0.1:0")
    assert echo.wait() == 8
    assert echo.stderr.splitlines()[0] == "sockeye: echo: engine io_uring: operation not permitted"
    assert "likely cause: a container's seccomp profile" in echo.stderr


def test_denied_auto_takes_the_next(start_sockeye, needs, deny_io_uring):
    needs("engine", "epoll")
    echo = start_sockeye("echo", "-v", "127.0.0.1:0", prefix=deny_io_uring)
    assert echo.wait_event("listening")["engine"] == "epoll"
    with connect(echo.listening()) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
    if "io_uring: left out" not in echo.stderr:
        assert "engine io_uring: operation not permitted; using epoll" in echo.stderr


def test_denied_as_doctor_sees_it(start, sockeye, needs, deny_io_uring):
    needs("engine", "io_uring")
    doctor = start(*deny_io_uring, sockeye, "doctor", "--json", "io_uring")
    assert doctor.wait() == 8
    row = json.loads(doctor.stdout)
    assert (row["status"], row["errno"], row["instead"]) == ("denied", 1, "epoll")


# ---- a thread for each peer ----

def threads_of(process):
    return len(list(pathlib.Path(f"/proc/{process.pid}/task").iterdir()))


def says(sock, text):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        got += sock.recv(len(text) - len(got)) or b"(its end)"
    return got == text


@pytest.fixture
def serve(start_sockeye, tmp_path):
    """serve(command, target, *options) starts echo, or a relay to one, on the engine thread."""
    def start(command, target, *options):
        to = []
        if command == "relay":
            start_sockeye("echo", f"{tmp_path}/back").listening()
            to = [f"{tmp_path}/back"]
        return start_sockeye(command, "--engine", "thread", *options, target, *to)
    return start


@pytest.mark.parametrize("command", ["echo", "relay"])
@pytest.mark.parametrize("target", ["tcp:127.0.0.1:0", "unix:{}/s"])
def test_each_peer_has_a_thread(serve, command, target, tmp_path):
    server = serve(command, target.format(tmp_path))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(server.listening())) for _ in range(5)]
        for sock in reversed(socks):
            assert says(sock, b"one")
        assert threads_of(server) >= 5
        assert {event["conn"] for event in server.wait_events(5, "connected", side="from")} == {1, 2, 3, 4, 5}
    server.wait_events(5, "closed", reason="end")
    assert server.stop() == 128 + signal.SIGTERM


def test_no_more_threads_than_peers_allowed(serve):
    server = serve("echo", "tcp:127.0.0.1:0,max=2")
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(server.listening())) for _ in range(3))
        assert says(first, b"one") and says(second, b"two")
        third.sendall(b"three")
        assert threads_of(server) == 2 and len(server.wait_events(2, "connected")) == 2
        first.close()
        assert third.recv(5) == b"three"  # who waited in the queue is served then
        assert threads_of(server) == 2


def test_the_grace_holds_on_every_thread(serve):
    server = serve("echo", "tcp:127.0.0.1:0", "--grace", "1m")
    with connect(server.listening()) as one, connect(server.listening()) as two:
        assert says(one, b"one") and says(two, b"two")
        server.kill(signal.SIGTERM)
        assert says(one, b"still") and says(two, b"here")
    assert server.wait() == 128 + signal.SIGTERM


def test_threads_do_not_go_with_it(run_sockeye):
    result = run_sockeye("echo", "--engine", "thread", "--threads", "2", "127.0.0.1:0")
    assert result.status == 2 and "--engine thread" in result.err
