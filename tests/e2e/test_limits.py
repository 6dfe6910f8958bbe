"""The limits an endpoint sets for its peers: max=, idle=, allow= and deny=."""

import contextlib
import socket
import threading
import time

import pytest

from peers import connect, listen_tcp, receive_all, receive_exactly
from processes import never


def answered(sock, line=b"there?\n"):
    sock.sendall(line)
    return receive_exactly(sock, len(line)) == line


@pytest.fixture
def serve(start_sockeye, tmp_path):
    """serve(command, options, engine) starts echo, or a relay to an echo, on 127.0.0.1 with those
    options of its endpoint."""
    def start(command, options, engine, host="127.0.0.1"):
        to = []
        if command == "relay":
            start_sockeye("echo", f"{tmp_path}/back").listening()
            to = [f"{tmp_path}/back"]
        return start_sockeye(command, "--engine", engine, f"tcp:{host}:0,{options}", *to)
    return start


# ---- max= ----

@pytest.mark.parametrize("command", ["echo", "relay"])
def test_beyond_max_peers_wait_their_turn(serve, engine, command):
    server = serve(command, "max=2", engine)
    address = server.listening()
    first, second = connect(address), connect(address)
    with first, second:
        assert answered(first) and answered(second)
        third, fourth = connect(address), connect(address)
        with third, fourth:
            third.sendall(b"my turn?\n")
            # The server is awake and has work; it would have taken the third by now.
            assert answered(first) and answered(second)
            never(lambda: [e for e in server.events if e.get("conn") == 3], "a third peer")
            first.close()
            assert receive_exactly(third, 9) == b"my turn?\n"
            assert not [event for event in server.events if event.get("conn") == 4]
            second.close()
            assert answered(fourth)
    server.wait_events(4, "closed", reason="end")


def test_max_counts_over_the_families(start_sockeye, needs):
    needs("net", "dual-stack")
    server = start_sockeye("echo", "tcp:[::]:0,max=1")
    port = server.listening().port
    with connect(("127.0.0.1", port)) as first, connect(("::1", port)) as second:
        assert answered(first)
        second.sendall(b"my turn?\n")
        never(lambda: [e for e in server.events if e.get("conn") == 2], "a second peer")
        first.close()
        assert receive_exactly(second, 9) == b"my turn?\n"


# ---- idle= ----

@pytest.mark.parametrize("command", ["echo", "relay"])
def test_an_idle_peer_is_ended(serve, engine, command):
    server = serve(command, "idle=300ms", engine)
    with connect(server.listening()) as sock:
        assert answered(sock)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
    closed = server.wait_event("closed")
    assert closed["reason"] == "idle" and closed["ms"] >= 300
    assert closed["bytes"] == [7, 7] and closed["error"]


@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_peer_that_speaks_is_not_idle(serve, engine, command):
    server = serve(command, "idle=500ms", engine)
    with connect(server.listening()) as sock:
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert answered(sock)
            time.sleep(0.02)  # this is a peer's pace, and no waiting for something
    assert server.wait_event("closed")["reason"] == "end"


def test_one_way_traffic_is_not_idle(start_sockeye):
    """A download during which the client says nothing."""
    with listen_tcp() as listener:
        relay = start_sockeye("relay", "tcp:127.0.0.1:0,idle=500ms",
                              "tcp:{}:{}".format(*listener.getsockname()))
        with connect(relay.listening()) as client:
            server, _ = listener.accept()
            with server:
                end, count = time.monotonic() + 1.2, 0
                while time.monotonic() < end:
                    server.sendall(b"x")
                    assert client.recv(1) == b"x"
                    count += 1
                    time.sleep(0.02)
    assert relay.wait_event("closed")["bytes"] == [0, count]


def test_idle_of_the_second_end_counts(start_sockeye, tmp_path):
    start_sockeye("echo", f"{tmp_path}/back").listening()
    relay = start_sockeye("relay", "127.0.0.1:0,idle=1m", f"unix:{tmp_path}/back,idle=200ms")
    with connect(relay.listening()) as sock:
        assert answered(sock)
        assert relay.wait_event("closed", timeout=5)["reason"] == "idle"


# ---- timeout= ----

def test_timeout_ends_a_dial_for_one_peer_only(start_sockeye, engine):
    with listen_tcp(backlog=0) as listener:
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0",
                              "tcp:{}:{},timeout=200ms".format(*listener.getsockname()))
        with pytest.raises(ConnectionResetError), connect(relay.listening()) as client:
            receive_all(client)
        closed = relay.wait_event("closed")
        assert closed["reason"] == "timeout" and closed["ms"] >= 200
        assert relay.running()
        for sock in waiting:
            sock.close()


# ---- allow= and deny= ----

def let_in(address):
    """Whether a server at (host, port) serves us."""
    try:
        with connect(address) as sock:
            return answered(sock)
    except (ConnectionResetError, BrokenPipeError, AssertionError):
        return False


def denied_from(local, address):
    """A peer from that address says something and is shown the door."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError), \
            socket.create_connection(address, 20, source_address=(local, 0)) as sock:
        sock.sendall(b"not this\n")
        assert sock.recv(1) == b""


@pytest.mark.parametrize("host, options, four, six", [
    ("[::]", "deny=127.0.0.0/8", False, True),
    ("[::]", "deny=::ffff:127.0.0.0/104", False, True),
    ("[::]", "deny=127.0.0.1", False, True),
    ("[::]", "deny=::1", True, False),
    ("[::]", "deny=::/0", True, False),
    ("[::]", "allow=127.0.0.0/8", True, False),
    ("[::]", "allow=::ffff:127.0.0.1", True, False),
    ("[::]", "allow=::1/128", False, True),
    ("[::]", "allow=10.0.0.0/8,allow=::1", False, True),
    ("[::]", "allow=127.0.0.0/8,deny=127.0.0.1", False, False),
    ("127.0.0.1", "deny=::ffff:127.0.0.1", False, None),
    ("127.0.0.1", "allow=::ffff:127.0.0.1", True, None),
    ("127.0.0.1", "allow=10.0.0.0/8", False, None),
])
def test_who_is_let_in(start_sockeye, needs, host, options, four, six):
    needs("net", "dual-stack")
    server = start_sockeye("echo", f"tcp:{host}:0,{options}")
    port = server.listening().port
    assert let_in(("127.0.0.1", port)) == four
    if six is not None:
        assert let_in(("::1", port)) == six
    expected = ["end" if verdict else "denied" for verdict in (four, six) if verdict is not None]
    closed = server.wait_events(len(expected), "closed")
    assert [event["reason"] for event in sorted(closed, key=lambda event: event["conn"])] == expected


@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_denied_peer_is_told_of(serve, engine, command):
    server = serve(command, "deny=127.0.0.1", engine)
    assert not let_in(server.listening())
    closed = server.wait_event("closed")
    assert closed["bytes"] == [0, 0] and closed["error"]
    assert not [event for event in server.events if event.get("side") == "to"]  # nor was TO dialled
    server.wait_stderr(r"sockeye: \w+: .*\n")


def test_denied_peers_take_no_place(serve, engine):
    server = serve("echo", "max=1,deny=127.0.0.2", engine, host="[::]")
    port = server.listening().port
    for _ in range(3):
        denied_from("127.0.0.2", ("127.0.0.1", port))
    assert let_in(("127.0.0.1", port))


@pytest.mark.parametrize("options", ["deny=127.0.0.0/8", "deny=::ffff:127.0.0.1", "allow=10.0.0.0/8"])
@pytest.mark.parametrize("check", [(), ("--check",)])
def test_a_dialler_keeps_to_its_list(run_sockeye, options, check):
    """What was checked is what is connected to: the listener sees nobody."""
    with listen_tcp() as listener:
        text = "tcp:localhost:{1},family=4,{2}".format(*listener.getsockname(), options)
        result = run_sockeye("connect", *check, text)
        assert result.status == 4 and text in result.err.splitlines()[0]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_listen_turns_a_denied_peer_away_and_waits_for_the_next(start_sockeye):
    server = start_sockeye("listen", "--keep", "tcp:127.0.0.1:0,deny=127.0.0.2")
    address = server.listening()
    denied_from("127.0.0.2", address[:2])
    with connect(address) as sock:
        sock.sendall(b"but this\n")
        server.wait_stdout("but this\n")
    assert server.stdout == b"but this\n"


# ---- several at once ----

def test_a_slow_peer_does_not_slow_others(serve, engine):
    """One peer sends a byte now and then, another does not read at all; a third is answered at once."""
    server = serve("relay", "max=10", engine)
    address = server.listening()
    stop = threading.Event()
    with connect(address) as slow, connect(address) as stuck, connect(address) as third:
        stuck.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                stuck.send(bytes(65536))

        def trickle():
            while not stop.wait(0.01):
                slow.sendall(b"x")
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            slowest = 0
            for _ in range(50):
                began = time.monotonic()
                assert answered(third)
                slowest = max(slowest, time.monotonic() - began)
        finally:
            stop.set()
            thread.join()
    assert slowest < 1
