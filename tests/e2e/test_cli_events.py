"""--events, -v, --quiet, signals and exit statuses: what a command tells of its connections and its end."""

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def dial(address):
    return socket.create_connection((address.host, address.port), timeout=10)


def say(address, data=b"hello\n"):
    """One whole dialogue with an echo server."""
    with dial(address) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        came = b""
        while piece := peer.recv(65536):
            came += piece
    assert came == data
    return peer


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def refusing_port():
    """A port that nothing listens on, kept from others while the socket lives."""
    kept = socket.socket()
    kept.bind(("127.0.0.1", 0))
    return kept, kept.getsockname()[1]


# ---- events ----

def test_the_life_of_a_peer(start_sockeye, engine):
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--engine", engine)
    address = server.listening()
    with dial(address) as peer:
        here = "%s:%d" % peer.getsockname()
        peer.sendall(b"hello")
        assert peer.recv(100) == b"hello"
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(100) == b""
    closed = server.wait_event("closed", conn=1)
    listening, connected, eof = server.events[:3]
    assert all(event["v"] == 1 and TIME.fullmatch(event["time"]) for event in server.events)
    assert [event["event"] for event in server.events] == ["listening", "connected", "eof", "closed"]
    assert (listening["endpoint"], listening["engine"]) == ("tcp:127.0.0.1:0", engine)
    assert {"conn": 1, "side": "from", "peer": here, "local": address.text}.items() <= connected.items()
    assert {"conn": 1, "side": "from"}.items() <= eof.items()
    assert {"bytes": [5, 5], "reason": "end"}.items() <= closed.items()
    assert isinstance(closed["ms"], int) and "error" not in closed and len(closed["path"]) == 2


def test_events_go_to_a_file_after_what_it_holds(start_sockeye, tmp_path):
    file = tmp_path / "events"
    file.write_text("kept\n", encoding="ascii")
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--events", file, events=False)
    server.wait_stderr("listening on tcp:127.0.0.1:")
    assert server.stop() == 128 + signal.SIGTERM
    kept, listening = file.read_text(encoding="ascii").splitlines()
    assert (kept, json.loads(listening)["event"]) == ("kept", "listening")


def test_events_go_to_a_fifo_whose_reader_comes_later(start_sockeye, tmp_path):
    fifo = tmp_path / "events"
    os.mkfifo(fifo)
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--events", fifo, events=False)
    server.wait_stderr("listening on tcp:127.0.0.1:")
    with open(fifo, "rb") as reader:
        assert json.loads(reader.readline())["event"] == "listening"


def test_events_go_to_a_socket(start_sockeye):
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            start_sockeye("echo", "tcp:127.0.0.1:0", "--events", theirs.fileno(), events=False,
                          pass_fds=[theirs.fileno()])
        ours.settimeout(10)
        assert json.loads(ours.makefile("rb").readline())["event"] == "listening"


@pytest.mark.parametrize("spec, status", [
    ("99", 2), ("0", 2), ("12345678901234567890", 2), ("/no/such/folder/events", 1)])
def test_events_that_cannot_be_written_are_an_error(run_sockeye, spec, status):
    with open(os.devnull, "rb") as read_only:
        result = run_sockeye("echo", "tcp:127.0.0.1:0", "--events", spec, stdin=read_only)
    assert result.status == status
    assert result.err.startswith(f"sockeye: echo: --events {spec}: ")


@pytest.fixture
def small_pipe():
    """The smallest pipe there is, and what is read from it never blocks."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    yield read_end, write_end
    os.close(read_end)


def test_a_stuck_reader_of_events_costs_only_events(start_sockeye, small_pipe):
    read_end, write_end = small_pipe
    flags = fcntl.fcntl(write_end, fcntl.F_GETFL)
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--events", write_end, events=False,
                           pass_fds=[write_end])
    port = int(server.wait_stderr(rb"listening on tcp:127\.0\.0\.1:(\d+) ")[1])
    address = type("Address", (), {"host": "127.0.0.1", "port": port})
    peers = 400
    for _ in range(peers):
        say(address)
    assert fcntl.fcntl(write_end, fcntl.F_GETFL) == flags
    os.close(write_end)

    # The reader wakes: first come those that were kept, whole and in order, then the count.
    text = b""
    while b'"dropped":' not in text.rpartition(b"\n")[0]:
        if text.endswith(b"\n"):
            say(address)  # gives the next event that can go through
        text += os.read(read_end, 65536)
    events = [json.loads(line) for line in text.split(b"\n")[:-1]]
    at = next(i for i, event in enumerate(events) if "dropped" in event)
    dropped = events[at]["dropped"]
    kept = events[:at]
    assert kept[0]["event"] == "listening"
    assert [event["conn"] for event in kept[1:]] == sorted(event["conn"] for event in kept[1:])
    # listening; connected, eof and closed of each peer
    assert 0 < dropped < 1 + 3 * (peers + 100)
    assert len(json.dumps(kept)) < 2 * (64 + 4) * 1024


def test_events_whose_reader_left_are_told_once(start_sockeye):
    read_end, write_end = os.pipe()
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--events", write_end, events=False,
                           pass_fds=[write_end])
    os.close(write_end)
    port = int(server.wait_stderr(rb"listening on tcp:127\.0\.0\.1:(\d+) ")[1])
    os.close(read_end)
    address = type("Address", (), {"host": "127.0.0.1", "port": port})
    for _ in range(3):
        say(address)
    assert server.stop() == 128 + signal.SIGTERM
    assert server.stderr.count("--events: broken pipe") == 1


# ---- lines for people ----

def test_quiet_and_verbose(start_sockeye):
    for words, lines in (((), 1), (("--quiet",), 0), (("-v",), 4)):
        server = start_sockeye("echo", "tcp:127.0.0.1:0", *words)
        say(server.listening())
        server.wait_event("closed")
        server.stop()
        assert len(server.stderr.splitlines()) == lines, server
    assert re.search(r"echo: listening on tcp:127\.0\.0\.1:\d+ \(\w+\)\n", server.stderr)
    assert re.search(r"echo: 1: connected from 127\.0\.0\.1:\d+, here 127\.0\.0\.1:\d+\n", server.stderr)
    assert "echo: 1: the from side has ended its sending\n" in server.stderr
    assert re.search(r"echo: 1: closed, end, 6 bytes to and 6 back in \d+ ms", server.stderr)


def test_identical_errors_are_counted_and_not_repeated(start_sockeye):
    kept, port = refusing_port()
    with kept:
        relay = start_sockeye("relay", "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{port}")
        for _ in range(20):
            try:
                with dial(relay.listening()) as peer:
                    assert peer.recv(1) == b""
            except ConnectionResetError:  # as the other side refused
                pass
        relay.wait_events(20, "closed", reason="refused")
        relay.stop()
    lines = [line for line in relay.stderr.splitlines() if "connection refused" in line]
    more = sum(int(n) for n in re.findall(r"\(and (\d+) more of these\)", relay.stderr))
    printed = [line for line in lines if "more of these" not in line]
    assert len(printed) + more == 20
    assert len(printed) <= 5, relay
    assert printed[0] == f"sockeye: relay: tcp:127.0.0.1:{port}: connection refused"


# ---- signals ----

@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [
    ("echo", "tcp:127.0.0.1:0"), ("echo", "tcp:127.0.0.1:0", "tcp:127.0.0.1:0"),
    ("listen", "tcp:127.0.0.1:0"), ("listen", "--keep", "tcp:127.0.0.1:0"),
    ("relay", "tcp:127.0.0.1:0", "tcp:127.0.0.1:1")])
def test_a_signal_ends_a_server_as_that_signal(start_sockeye, words, signum):
    server = start_sockeye(*words)
    server.listening(len(words) - 2 if words[0] == "echo" else 0)
    assert server.stop(signum) == 128 + signum


def test_peers_may_finish_within_the_grace(start_sockeye):
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--grace", "1m")
    address = server.listening()
    with dial(address) as peer:
        server.wait_event("connected")
        server.kill(signal.SIGTERM)
        while True:  # until nobody listens any more
            try:
                dial(address).close()
            except ConnectionError:
                break
        peer.sendall(b"still here")
        assert peer.recv(100) == b"still here"
    assert server.wait() == 128 + signal.SIGTERM


def test_the_grace_ends(start_sockeye):
    server = start_sockeye("echo", "tcp:127.0.0.1:0", "--grace", "50ms")
    with dial(server.listening()):
        server.wait_event("connected")
        assert server.stop() == 128 + signal.SIGTERM


def test_a_second_signal_ends_at_once(start_sockeye, tmp_path):
    path = tmp_path / "s"
    server = start_sockeye("echo", "tcp:127.0.0.1:0", f"unix:{path}", "--grace", "10m")
    address = server.listening()
    server.listening(1)
    with dial(address):
        server.wait_event("connected")
        server.kill(signal.SIGTERM)
        while path.exists():
            pass
        server.kill(signal.SIGINT)
        assert server.wait() == 128 + signal.SIGINT


def test_a_signal_ends_connect_without_waiting(start_sockeye):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = start_sockeye("connect", "tcp:127.0.0.1:%d" % listener.getsockname()[1])
        with listener.accept()[0]:
            client.wait_event("connected", side="to")
            assert client.stop(signal.SIGINT, timeout=4) == 128 + signal.SIGINT


# ---- exit statuses ----

def test_connect_ends_well(run_sockeye, start_sockeye):
    server = start_sockeye("echo", "tcp:127.0.0.1:0")
    endpoint = f"tcp:{server.listening().text}"
    assert run_sockeye("connect", endpoint, stdin=b"hello\n") == (0, b"hello\n", "")
    assert run_sockeye("connect", "--check", endpoint) == (0, b"", "")
    checked = run_sockeye("connect", "--check", "-v", endpoint)
    assert checked == (0, b"", f"sockeye: connect: connected to {server.listening().text}\n")


@pytest.mark.parametrize("words", [("connect",), ("connect", "--quiet"), ("connect", "--check")])
def test_status_4_when_nobody_listens(run_sockeye, words):
    kept, port = refusing_port()
    with kept:
        result = run_sockeye(*words, f"tcp:127.0.0.1:{port}")
    assert (result.status, result.out) == (4, b"")
    assert result.err.splitlines()[0] == f"sockeye: connect: tcp:127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize("words", [("connect",), ("connect", "--check")])
def test_status_3_when_a_name_does_not_resolve(run_sockeye, words):
    result = run_sockeye(*words, "tcp:no-such-host.invalid:80")
    assert result.status == 3
    assert "no-such-host.invalid" in result.err.splitlines()[0]


def test_status_4_when_an_address_is_taken(run_sockeye, start_sockeye):
    taken = f"tcp:{start_sockeye('echo', 'tcp:127.0.0.1:0').listening().text}"
    for words in (("echo", "tcp:127.0.0.1:0", taken), ("listen", taken), ("relay", taken, "tcp:127.0.0.1:1")):
        result = run_sockeye(*words)
        assert result.status == 4
        assert f"{taken}: address already in use" in result.err


def test_status_7_when_the_peer_resets(start_sockeye):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = start_sockeye("connect", "tcp:127.0.0.1:%d" % listener.getsockname()[1])
        peer = listener.accept()[0]
        client.wait_event("connected", side="to")
        reset(peer)
        assert client.wait() == 7
    assert "connection reset by peer" in client.stderr
    assert client.wait_event("closed")["reason"] == "reset"


def test_status_124_when_it_was_idle_for_too_long(start_sockeye):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = start_sockeye("connect", "tcp:127.0.0.1:%d,idle=50ms" % listener.getsockname()[1])
        with listener.accept()[0]:
            assert client.wait() == 124
    assert client.wait_event("closed")["reason"] == "idle"
    assert len([line for line in client.stderr.splitlines() if not line.startswith("  ")]) == 1


@pytest.mark.parametrize("words", [
    ("listen", "tcp:127.0.0.1:0,dial"), ("connect", "tcp:127.0.0.1:1,listen"), ("listen", "-"),
    ("relay", "-", "-"), ("connect", "-")])
def test_status_2_for_ends_that_cannot_be_joined(run_sockeye, words):
    result = run_sockeye(*words)
    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith(f"sockeye: {words[0]}: ")


def test_eof_choices(run_sockeye):
    """half awaits the answer, close does not, wait=DURATION does for so long: nobody answers here."""
    for choice in ("close", "wait=50ms"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            endpoint = "tcp:127.0.0.1:%d" % listener.getsockname()[1]
            result = run_sockeye("connect", "--eof", choice, endpoint, stdin=b"bye")
            assert result.status == 0, result
            with listener.accept()[0] as peer:
                assert peer.recv(100) == b"bye"


def test_listen_keep_serves_one_after_another(start_sockeye):
    server = start_sockeye("listen", "--keep", "tcp:127.0.0.1:0", stdin=subprocess.DEVNULL)
    for number in range(3):
        with dial(server.listening()) as peer:
            peer.sendall(b"%d" % number)
        server.wait_event("closed", conn=number + 1)
    assert server.stop() == 128 + signal.SIGTERM
    assert server.stdout == b"012"


# ---- the tour ----

def test_the_tour_shows_commands_as_they_are_typed(run_sockeye):
    assert b"--send 'Hello {n} at {time}\\n' " in run_sockeye("tour", "14").out


def test_the_tour_marks_what_it_ran(run_sockeye):
    result = run_sockeye("tour", "--json", "1", "3", "6", "9")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert (result.status, result.err) == (0, "")
    assert [(row["row"], row["result"]) for row in rows] == [
        (1, "ok"), (3, "ok"), (6, "ok"), (9, "skipped")]
    assert all(row["v"] == 1 for row in rows) and rows[-1]["reason"]
    assert "$ sockeye echo tcp:127.0.0.1:0\n" in rows[2]["log"] and "> Hello World\n" in rows[2]["log"]


@pytest.mark.parametrize("path", ["", "/nonexistent"])
def test_the_whole_tour_with_and_without_other_peoples_programs(run_sockeye, tmp_path, path):
    env = {"TMPDIR": "/tmp"} | ({"PATH": path} if path else {})
    result = run_sockeye("tour", env=env, timeout=60)
    assert result.status == 0, result
    assert re.search(rb"\n\d+ ok, 0 failed, \d+ skipped\n$", result.out)
    assert (b"$ sockeye connect" in result.out) or not path


def test_a_failing_recipe_is_marked(run_sockeye):
    result = run_sockeye("tour", "16", env={"TMPDIR": "/no/such/folder"})
    assert result.status == 1
    assert b"    failed: no temporary folder: " in result.out
    assert result.out.endswith(b"0 ok, 1 failed, 0 skipped\n")


# ---- doctor ----

def test_doctor_answers_for_one_mechanism(run_sockeye):
    rows = [json.loads(line) for line in run_sockeye("doctor", "--json").out.splitlines()]
    assert {"version", "compiler", "kernel"} <= {row["name"] for row in rows if row["area"] == "build"}
    for row in rows:
        if row["area"] in ("build", "cipher"):
            continue
        assert row["status"] in ("usable", "denied", "absent")
        result = run_sockeye("doctor", "--json", f"{row['area']}/{row['name']}")
        alone = json.loads(result.out)
        assert (alone["area"], alone["name"], alone["status"]) == (row["area"], row["name"], row["status"])
        assert result.status == (0 if row["status"] == "usable" else 8)
