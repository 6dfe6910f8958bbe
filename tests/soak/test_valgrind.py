"""A session of a hundred peers at once under valgrind: no leak of memory or descriptors, no error."""

import pathlib
import re
import signal

import pytest

from peers import connect, receive_all, receive_exactly, tool

PEERS = 100
ENGINE = ("--engine", "epoll")  # valgrind does not see what the kernel writes for a ring
SUPPRESSIONS = pathlib.Path(__file__).parent / "valgrind.supp"
LOST = re.compile(r"(?:definitely|indirectly|possibly) lost: ([\d,]+) bytes")
OPEN = re.compile(r"Open (?:file descriptor \d+|\S+ socket \d+).*(?:\n==\d+== +(.*))?")


@pytest.fixture
def start_checked(start_sockeye, tmp_path):
    """start_sockeye under valgrind; returns the process and a function that reads its verdict."""
    def start(*args):
        log = tmp_path / f"{args[0]}.log"
        process = start_sockeye(*args, prefix=(tool("valgrind"), "--leak-check=full", "--track-fds=yes",
                                               f"--suppressions={SUPPRESSIONS}", f"--log-file={log}"))
        return process, lambda: log.read_text(encoding="utf-8", errors="replace")
    return start


def check_verdict(text):
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    assert errors and errors[1] == "0", text
    assert all(lost == "0" for lost in LOST.findall(text)), text
    assert "FILE DESCRIPTORS:" in text, text
    for match in OPEN.finditer(text):
        assert "<inherited from parent>" in match[0], f"left open: {match[0]}\n{text}"


def talk(address):
    """Every peer is connected before the first one speaks, and none leaves before all have spoken."""
    socks = [connect(address) for _ in range(PEERS)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%d\n" % number)
    for number, sock in enumerate(socks):
        line = b"%d\n" % number
        assert receive_exactly(sock, len(line)) == line
    for sock in socks:
        sock.sendall(bytes(100_000))
        sock.shutdown(1)
    for sock in socks:
        assert len(receive_all(sock)) == 100_000
        sock.close()


def test_echo_leaks_nothing(start_checked):
    echo, verdict = start_checked("echo", *ENGINE, "tcp:127.0.0.1:0")
    talk(echo.listening())
    echo.wait_events(PEERS, "closed", reason="end")
    assert echo.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    check_verdict(verdict())


def test_relay_leaks_nothing(start_checked, start_sockeye, tmp_path):
    echo = start_sockeye("echo", f"unix:{tmp_path}/echo")
    echo.listening()
    relay, verdict = start_checked("relay", *ENGINE, "tcp:127.0.0.1:0", f"unix:{tmp_path}/echo")
    talk(relay.listening())
    relay.wait_events(PEERS, "closed", reason="end")
    assert relay.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    check_verdict(verdict())
