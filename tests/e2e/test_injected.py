"""Errors that a healthy kernel does not give on demand, put in by strace(1) at the system call: a promise
that holds on any kernel is tested on this one."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from peers import connect, digest, listen_tcp, payload, receive_all, receive_exactly, tool
from processes import eventually

pytestmark = pytest.mark.faults
MIB = 1 << 20
# The sanitizers' search for leaks is a tracer itself, and a process has one at most.
TRACED = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


@pytest.fixture
def inject(start_sockeye):
    """inject(["accept4:error=ENFILE:when=1"], *args, only=PATH) starts sockeye with those of its system
    calls failing or delayed, or those alone that touch PATH; see strace(1), --inject."""
    strace = tool("strace")
    if subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this host allows no tracing")

    def start(injections, *args, only=None, **options):
        words = [strace, "-D", "-f", "-o", os.devnull]
        for injection in injections:
            words += ["-e", f"inject={injection}"]
        words += ["-e", "trace=" + ",".join(injection.split(":")[0] for injection in injections)]
        if only:
            words += ["-P", only]
        process = start_sockeye(*args, prefix=words, env=TRACED, **options)
        process.may_leave_children = True  # the tracer ends after what it traced
        return process
    return start


def answered(sock, line=b"there?\n"):
    sock.sendall(line)
    return receive_exactly(sock, len(line)) == line


def exchange(address, data):
    """Sends all, ends, and returns all that came back."""
    with connect(address) as sock:
        def send():
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            return receive_all(sock)
        finally:
            sender.join()


def first_line(process):
    lines = process.stderr.splitlines()
    assert len([line for line in lines if not line.startswith("  ")]) == 1, process
    return lines[0]


# ---- interruptions ----

@pytest.mark.parametrize("command", ["echo", "relay"])
def test_every_other_call_is_interrupted(inject, start_sockeye, engine, command, tmp_path):
    start_sockeye("echo", f"{tmp_path}/back").listening()
    to = [f"{tmp_path}/back"] if command == "relay" else []
    calls = "recvfrom,sendto,splice,accept4,epoll_wait,epoll_pwait,poll,ppoll,select,pselect6,writev"
    server = inject([f"{calls}:error=EINTR:when=1+2"], command, "--engine", engine, "127.0.0.1:0", *to)
    data = payload(MIB)
    assert digest(exchange(server.listening(), data)) == digest(data)
    assert server.wait_event("closed")["reason"] == "end"


def test_interrupted_reads_and_writes_of_files(inject, start_sockeye, tmp_path):
    """From a pipe to a file that is appended to, neither of which is a socket."""
    echo = start_sockeye("echo", "127.0.0.1:0")
    data = payload(300_000)
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "out").open("ab") as stdout, (tmp_path / "source").open("rb") as stdin:
        client = inject(["write,read,splice:error=EINTR:when=1+2"], "connect", echo.listening().text,
                        only=tmp_path / "out", stdin=stdin, stdout=stdout)
        assert client.wait() == 0, client
    assert (tmp_path / "out").read_bytes() == data


# ---- what the kernel refuses ----

@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS", "EPERM"])
def test_without_splice_the_bytes_are_copied(inject, start_sockeye, engine, error, tmp_path):
    """An old kernel, or a container's profile that denies it."""
    start_sockeye("echo", f"{tmp_path}/back").listening()
    relay = inject([f"splice:error={error}"], "relay", "--engine", engine, "127.0.0.1:0", f"{tmp_path}/back")
    data = payload(MIB)
    assert digest(exchange(relay.listening(), data)) == digest(data)
    assert relay.wait_event("closed")["path"] == ["copy", "copy"]


def test_splice_that_is_refused_in_the_middle(inject, start_sockeye, engine, tmp_path):
    """The first one into a pipe works, the first one out of it does not: what is in there is copied on."""
    start_sockeye("echo", f"{tmp_path}/back").listening()
    for first in (2, 3, 4, 5):
        relay = inject([f"splice:error=EINVAL:when={first}+"], "relay", "--engine", engine,
                       "127.0.0.1:0", f"{tmp_path}/back")
        data = payload(300_000)
        assert digest(exchange(relay.listening(), data)) == digest(data)
        assert "copy" in relay.wait_event("closed")["path"]


def test_few_pipes_are_enough(inject, start_sockeye, tmp_path):
    """An unprivileged user has a limit of pipes, as of descriptors."""
    start_sockeye("echo", f"{tmp_path}/back").listening()
    relay = inject(["pipe2:error=EMFILE:when=3+"], "relay", "127.0.0.1:0", f"{tmp_path}/back")
    data = payload(MIB)
    assert digest(exchange(relay.listening(), data)) == digest(data)


def test_auto_falls_to_the_next_engine(inject, needs):
    """And says so in the events."""
    needs("engine", "poll")
    echo = inject(["io_uring_setup,epoll_create1,epoll_create:error=ENOSYS"], "echo", "-v", "127.0.0.1:0")
    assert echo.wait_event("listening")["engine"] == "poll"
    with connect(echo.listening()) as sock:
        assert answered(sock)
    echo.wait_stderr("function not implemented; using poll")


@pytest.mark.parametrize("call, name", [("epoll_create1", "epoll"), ("io_uring_setup", "io_uring")])
def test_a_named_engine_never_falls(inject, needs, call, name):
    needs("engine", name)
    echo = inject([f"{call}:error=ENOSYS"], "echo", "--engine", name, "127.0.0.1:0")
    assert echo.wait() == 8
    assert name in first_line(echo) and "function not implemented" in first_line(echo)


def test_doctor_sees_what_is_refused(start):
    strace = tool("strace")
    sockeye = os.environ["SOCKEYE"]
    for error, number, status in (("ENOSYS", 38, "absent"), ("EPERM", 1, "denied")):
        doctor = start(strace, "-D", "-f", "-o", os.devnull, "-e", "trace=splice,epoll_create1", "-e",
                       f"inject=splice,epoll_create1:error={error}", sockeye, "doctor", "--json", "splice", "epoll",
                       env=TRACED)
        assert doctor.wait() == 8
        rows = [json.loads(line) for line in doctor.stdout.splitlines()]
        assert [(row["name"], row["status"], row["errno"], row["instead"]) for row in rows] == [
            ("splice", status, number, "copying"), ("epoll", status, number, "poll")]
        assert all(row["cause"] and row["cause"] != row["error"] for row in rows)


# ---- accepting ----

@pytest.mark.parametrize("error, words", [
    ("ENFILE", "too many open files in system"), ("ENOMEM", "cannot allocate memory"),
    ("ENOBUFS", "no buffer space available")])
def test_accept_fails_for_a_while(inject, engine, error, words):
    """The listener pauses, and serves its peer when the trouble is over."""
    if engine == "io_uring":
        pytest.skip("io_uring accepts without a call that could be injected into; the unit tests do")
    server = inject([f"accept4:error={error}:when=1..3"], "echo", "--engine", engine, "127.0.0.1:0")
    with connect(server.listening()) as sock:
        assert answered(sock)
    assert words in server.wait_event("paused")["error"]


@pytest.mark.parametrize("error", ["ECONNABORTED", "EPROTO", "ENETDOWN", "EHOSTUNREACH", "ETIMEDOUT"])
def test_accept_passes_over_dead_connections(inject, error):
    """Errors of one connection, which accept(2) passes on, are no reason to pause."""
    server = inject([f"accept4:error={error}:when=1..3"], "echo", "127.0.0.1:0")
    with connect(server.listening()) as sock:
        assert answered(sock)
    assert not [event for event in server.events if event["event"] == "paused"]


# ---- writing ----

@pytest.mark.parametrize("error, words", [
    ("EIO", "input/output error"), ("ENOSPC", "no space left on device"),
    ("EDQUOT", "disk quota exceeded")])
@pytest.mark.parametrize("when", ["1", "3"])
def test_a_write_to_the_output_fails(inject, error, words, when, tmp_path):
    with listen_tcp() as listener, (tmp_path / "out").open("ab") as stdout:
        client = inject([f"write:error={error}:when={when}+"], "connect",
                        "tcp:{}:{}".format(*listener.getsockname()), only=tmp_path / "out", stdout=stdout)
        server, _ = listener.accept()
        with server:
            with contextlib.suppress(ConnectionError):
                server.sendall(payload(2 * MIB))
        assert client.wait() == 1
    assert first_line(client) == f"sockeye: connect: standard output: {words}"
    assert client.wait_event("closed")["reason"] == "error"


@pytest.mark.parametrize("append", [True, False])
def test_closing_the_output_fails(inject, append, tmp_path):
    """A network's file system tells there what it could not write (close(2)): that is no success."""
    with listen_tcp() as listener, (tmp_path / "out").open("ab" if append else "wb") as stdout, \
            open(os.devnull, "rb") as stdin:
        client = inject(["close:error=EIO"], "connect", "tcp:{}:{}".format(*listener.getsockname()),
                        only=tmp_path / "out", stdin=stdin, stdout=stdout)
        server, _ = listener.accept()
        server.sendall(b"all of it")
        server.close()
        assert client.wait() == 1
    assert first_line(client) == "sockeye: connect: standard output: input/output error"


def test_reading_the_input_fails(inject, start_sockeye, tmp_path):
    """A disk with a bad block: what was read is no whole file."""
    (tmp_path / "in").write_bytes(payload(4 * MIB))
    echo = start_sockeye("echo", "127.0.0.1:0")
    with (tmp_path / "in").open("rb") as stdin:
        client = inject(["read,splice:error=EIO:when=3+"], "connect", echo.listening().text,
                        only=tmp_path / "in", stdin=stdin)
        assert client.wait() == 1
    assert first_line(client) == "sockeye: connect: standard input: input/output error"


# ---- starting ----

@pytest.mark.parametrize("call", ["eventfd2", "pipe2", "socket"])
def test_no_descriptor_to_start_with(inject, call):
    echo = inject([f"{call}:error=EMFILE"], "echo", "127.0.0.1:0")
    assert echo.wait() in (1, 4)
    assert "too many open files" in first_line(echo)


def test_a_server_that_is_slow_to_listen_is_alive(inject, start_sockeye, tmp_path):
    """Bound and not yet listening, a socket looks stale: the next server waits, and finds it alive."""
    path = tmp_path / "s"
    slow = inject(["listen:delay_enter=400000"], "echo", path)
    eventually(path.is_socket, "a socket that does not listen yet")
    quick = start_sockeye("echo", path)
    assert quick.wait() == 4 and "address already in use" in quick.stderr
    slow.listening()
    with connect(str(path)) as sock:
        assert answered(sock)
    assert slow.stop() == 128 + signal.SIGTERM and not path.exists()
