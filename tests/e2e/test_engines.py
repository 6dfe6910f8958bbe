"""What the engines promise besides being alike: refused ones, and peers at their limits."""

import json
import sys

import pytest

from peers import connect

# Refuses io_uring_setup(2), number 425 on every machine, as a container's profile does, and runs a command.
DENY_IO_URING = """
import ctypes, os, struct, sys
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
memory = ctypes.create_string_buffer(code)
program = struct.pack("@HP", len(rules), ctypes.addressof(memory))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def deny_io_uring(start):
    """The words that stand before a command that is to be refused io_uring."""
    prefix = (sys.executable, "-c", DENY_IO_URING)
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
