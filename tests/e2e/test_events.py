"""--events, -v and --quiet: the life of each connection, told once and in order."""

import datetime
import json
import os
import re
import signal
import socket
import stat

import pytest

from peers import connect, listen_tcp, receive_all, receive_exactly, reset
from processes import DEADLINE_S, EventCollector, eventually

SANITIZED = "SOCKEYE_SANITIZED" in os.environ
REASONS = {"end", "reset", "truncated", "timeout", "idle", "denied", "refused", "tls", "error"}
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def checked(events):
    """Checks what every event has in common, and returns them without it."""
    times = []
    for event in events:
        assert event["v"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
        times.append(datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")))
        if event["event"] == "closed":
            assert event["reason"] in REASONS and event["ms"] >= 0 and len(event["bytes"]) == 2
            assert set(event["path"]) <= {"splice", "copy", None} and len(event["path"]) == 2
            assert ("error" in event) == (event["reason"] != "end")
    assert times == sorted(times)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert all(abs((now - time).total_seconds()) < 3600 for time in times)
    return [{key: value for key, value in event.items() if key not in ("v", "time", "ms")}
            for event in events]


def test_echo_session(start_sockeye, engine):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0")
    address = echo.listening()
    with connect(address) as sock:
        local = "{}:{}".format(*sock.getsockname())
        sock.sendall(b"hello")
        assert receive_exactly(sock, 5) == b"hello"
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b""
    echo.wait_event("closed")
    assert checked(echo.events) == [
        {"event": "listening", "endpoint": "tcp:127.0.0.1:0", "address": address.text, "engine": engine},
        {"event": "connected", "conn": 1, "side": "from", "endpoint": "tcp:127.0.0.1:0", "peer": local,
         "local": address.text},
        {"event": "eof", "conn": 1, "side": "from"},
        {"event": "closed", "conn": 1, "endpoint": "tcp:127.0.0.1:0", "bytes": [5, 5], "reason": "end",
         "path": ["copy", "copy"]}]


def test_relay_session(start_sockeye, needs, engine):
    needs("move", "splice")
    with listen_tcp() as listener:
        to = "tcp:{}:{}".format(*listener.getsockname())
        relay = start_sockeye("relay", "--engine", engine, "tcp:127.0.0.1:0", to)
        address = relay.listening()
        with connect(address) as client:
            server, peer = listener.accept()
            with server:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert receive_all(server) == b"question"
                relay.wait_event("eof", side="from")
                server.sendall(b"answer!")
            assert receive_all(client) == b"answer!"
            local = "{}:{}".format(*client.getsockname())
    relay.wait_event("closed")
    events = checked(relay.events)
    attempts = events[2].pop("attempts")
    assert [(a["address"], a.get("error"), type(a["ms"])) for a in attempts] == [(to[4:], None, int)]
    assert events == [
        {"event": "listening", "endpoint": "tcp:127.0.0.1:0", "address": address.text, "engine": engine},
        {"event": "connected", "conn": 1, "side": "from", "endpoint": "tcp:127.0.0.1:0", "peer": local,
         "local": address.text},
        {"event": "connected", "conn": 1, "side": "to", "endpoint": to, "peer": to[4:],
         "local": "{}:{}".format(*peer)},
        {"event": "eof", "conn": 1, "side": "from"},
        {"event": "eof", "conn": 1, "side": "to"},
        {"event": "closed", "conn": 1, "endpoint": "tcp:127.0.0.1:0", "bytes": [8, 7], "reason": "end",
         "path": ["splice", "splice"]}]


def test_connect_session(start_sockeye):
    with listen_tcp() as listener:
        client = start_sockeye("connect", "tcp:{}:{}".format(*listener.getsockname()))
        sock, peer = listener.accept()
        client.send("ab")
        client.close_stdin()
        assert receive_all(sock) == b"ab"
        sock.sendall(b"cde")
        sock.close()
        assert client.wait() == 0
    events = checked(client.events)
    assert [(event["event"], event.get("side")) for event in events] == [
        ("connected", "to"), ("eof", "from"), ("eof", "to"), ("closed", None)]
    assert all(event["conn"] == 1 for event in events)
    assert events[0]["local"] == "{}:{}".format(*peer)
    assert (events[3]["bytes"], events[3]["reason"]) == ([2, 3], "end")


def test_listen_session(start_sockeye, tmp_path):
    server = start_sockeye("listen", f"unix:{tmp_path}/s")
    server.listening()
    with connect(f"{tmp_path}/s") as sock:
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        server.wait_event("eof", side="from")
        server.send("de")
        server.close_stdin()
        assert receive_all(sock) == b"de"
    assert server.wait() == 0
    events = checked(server.events)
    assert [(event["event"], event.get("side")) for event in events] == [
        ("listening", None), ("connected", "from"), ("eof", "from"), ("eof", "to"), ("closed", None)]
    assert events[0]["address"] == events[1]["local"] == f"{tmp_path}/s"
    assert events[1]["peer"] == "unix"  # a client without a name
    assert events[4]["bytes"] == [3, 2]


def test_peers_are_numbered(start_sockeye):
    echo = start_sockeye("echo", "127.0.0.1:0")
    for number in range(1, 6):
        with connect(echo.listening()):
            echo.wait_event("connected", conn=number)
        echo.wait_event("closed", conn=number)
    checked(echo.events)


# ---- where they go ----

def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_to_a_file(start_sockeye, tmp_path):
    """It is appended to, so that several runs and several processes can share it."""
    path = tmp_path / "events"
    path.write_text('{"mine":1}\n')
    for number in (1, 2):
        echo = start_sockeye("echo", "--events", path, "127.0.0.1:0", events=False)
        eventually(lambda: len(lines_of(path)) == 2 * number, "the listening event")
        assert echo.stop() == 128 + signal.SIGTERM
        assert echo.stdout == b""
        with path.open("a", encoding="ascii") as file:
            file.write('{"mine":1}\n')
    assert [line.get("event") for line in lines_of(path)] == [None, "listening", None, "listening", None]
    assert stat.S_IMODE(path.stat().st_mode) & 0o111 == 0


def test_to_a_descriptor_that_is_a_file(start_sockeye, tmp_path):
    with (tmp_path / "events").open("wb") as file:
        fd = file.fileno()
        echo = start_sockeye("echo", f"--events={fd}", "127.0.0.1:0", events=False, pass_fds=(fd,))
        eventually(lambda: lines_of(tmp_path / "events"), "the listening event")
        assert echo.stop() == 128 + signal.SIGTERM


def test_to_a_socket(start_sockeye):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        start_sockeye("echo", "--events", theirs.fileno(), "127.0.0.1:0", events=False,
                      pass_fds=(theirs.fileno(),))
        ours.settimeout(DEADLINE_S)
        assert json.loads(ours.recv(4096))["event"] == "listening"


def test_to_standard_error(start_sockeye):
    echo = start_sockeye("echo", "--quiet", "--events", "2", "127.0.0.1:0", events=False)
    echo.wait_stderr(r'\{"v":1.*"listening".*\}\n')
    assert echo.stop() == 128 + signal.SIGTERM
    assert [json.loads(line)["event"] for line in echo.stderr.splitlines()] == ["listening"]


@pytest.mark.parametrize("where", ["99", "99999999999", "", "{tmp}/none/events", "{tmp}"])
def test_nowhere(run_sockeye, tmp_path, where):
    """Refused before anything is opened or bound."""
    result = run_sockeye("echo", "--events", where.format(tmp=tmp_path), f"{tmp_path}/s")
    assert result.status in (1, 2), result
    assert len(result.err.splitlines()) == 1 and "--events" in result.err
    assert not (tmp_path / "s").exists()


def test_a_full_disk_is_told_once_and_serving_goes_on(start_sockeye):
    echo = start_sockeye("echo", "--events", "/dev/full", "-v", "127.0.0.1:0", events=False)
    port = int(echo.wait_stderr(r"listening on tcp:127\.0\.0\.1:(\d+)")[1])
    for _ in range(3):
        with connect(("127.0.0.1", port)) as sock:
            sock.sendall(b"hello")
            assert receive_exactly(sock, 5) == b"hello"
    eventually(lambda: echo.stderr.count("closed, end") == 3, "three peers served")
    assert echo.stderr.count("no space left on device") == 1


def test_a_reader_that_leaves_is_told_once_and_serving_goes_on(start_sockeye, tmp_path):
    read_end, write_end = os.pipe()
    echo = start_sockeye("echo", "--events", write_end, f"{tmp_path}/s", events=False, pass_fds=(write_end,))
    os.close(write_end)
    assert b"listening" in os.read(read_end, 4096)
    os.close(read_end)
    for _ in range(3):
        with connect(f"{tmp_path}/s") as sock:
            sock.sendall(b"hello")
            assert receive_exactly(sock, 5) == b"hello"
    assert echo.stop() == 128 + signal.SIGTERM
    assert echo.stderr.count("broken pipe") == 1


@pytest.mark.parametrize("kind", ["fifo", "pipe", "socket"])
def test_a_stuck_reader_costs_a_bounded_queue(start_sockeye, engine, kind, tmp_path):
    """Peers are served as before; what did not fit is counted in the first event after it."""
    fds, closers = (), []
    if kind == "fifo":
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        where = str(tmp_path / "fifo")
    elif kind == "pipe":
        reader, writer = os.pipe()
        where, fds, closers = str(writer), (writer,), [writer]
    else:
        pair = socket.socketpair()
        reader, writer = (end.detach() for end in pair)
        where, fds, closers = str(writer), (writer,), [writer]
    echo = start_sockeye("echo", "--engine", engine, "--events", where, f"{tmp_path}/s", events=False,
                         pass_fds=fds)
    for fd in closers:
        os.close(fd)
    echo.wait_stderr("listening on")
    text = os.read(reader, 4096)
    assert b"listening" in text

    def visit(count):
        for _ in range(count):
            with connect(f"{tmp_path}/s") as sock:
                sock.sendall(b"hello")
                sock.shutdown(socket.SHUT_WR)
                assert receive_all(sock) == b"hello"
    visit(200)
    before = echo.resident_bytes()
    visit(1500)
    grown = echo.resident_bytes() - before
    assert SANITIZED or grown < 256 * 1024  # a sanitizer keeps what was freed
    echo.kill(signal.SIGTERM)
    with os.fdopen(reader, "rb", buffering=0) as file:
        text += file.read()
    assert echo.wait() == 128 + signal.SIGTERM
    events = [json.loads(line) for line in text.splitlines()]
    dropped = [event["dropped"] for event in events if "dropped" in event]
    # listening, and for each peer: connected, eof, closed. Whatever was lost at the very end has no
    # event after it that could tell.
    assert sum(dropped) + len(events) <= 1 + 3 * 1700
    assert len(events) > 300 and len(events) < 1 + 3 * 1700


def test_lost_events_are_counted(start_sockeye, tmp_path):
    """As above, but the reader comes back: all that was told and all that was lost make the whole."""
    reader, writer = os.pipe()
    echo = start_sockeye("echo", "--events", writer, f"{tmp_path}/s", events=False, pass_fds=(writer,))
    os.close(writer)
    assert b"listening" in os.read(reader, 4096)

    def visit():
        with connect(f"{tmp_path}/s") as sock:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
    for _ in range(1500):
        visit()
    events = EventCollector(os.fdopen(reader, "rb", buffering=0))

    def told():
        visit()
        return [event for event in events.data if "dropped" in event]
    first = eventually(told, "an event that tells of those that were lost")[0]
    # Peers come one after another, three events each, so that an event's place is known.
    place = 3 * (first["conn"] - 1) + ["connected", "eof", "closed"].index(first["event"])
    assert first["dropped"] == place - events.data.index(first)
    assert echo.stop() == 128 + signal.SIGTERM
    assert events.join(DEADLINE_S)


# ---- text from outside ----

HOSTILE = ["\x1b[31mred", "bell\x07", "line\nbreak", "back\\slash", 'quo"te', "c1\x9b", "rtl\u202eevil",
           "caf\u00e9 \u4e2d"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_escaped(start_sockeye, tmp_path, name):
    echo = start_sockeye("echo", "-v", f"{tmp_path}/s", "--events", tmp_path / "events", events=False)
    echo.wait_stderr("listening")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fsencode(f"{tmp_path}/{name}"))
        sock.connect(f"{tmp_path}/s")
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(DEADLINE_S)
        assert sock.recv(1) == b""
    os.unlink(os.fsencode(f"{tmp_path}/{name}"))
    echo.wait_stderr("closed, end")
    raw = (tmp_path / "events").read_bytes()
    assert not CONTROL.search(raw) and not CONTROL.search(echo.stderr.encode())
    peer = [json.loads(line) for line in raw.splitlines()][1]["peer"]
    if name.startswith("caf"):
        assert peer == f"{tmp_path}/{name}"
    assert not CONTROL.search(peer.encode())
    assert peer in echo.stderr


def test_bytes_that_are_no_text_are_escaped(start_sockeye, tmp_path):
    echo = start_sockeye("echo", f"{tmp_path}/s")
    echo.listening()
    path = os.fsencode(tmp_path) + b"/\xff\xfe\xc0\xaf"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.connect(f"{tmp_path}/s")
        assert echo.wait_event("connected")["peer"] == f"{tmp_path}/\\xff\\xfe\\xc0\\xaf"
    os.unlink(path)


def test_hostile_endpoints_are_escaped_in_errors(run_sockeye):
    for text in ("tcp:\x1b[31m:1", "unix:/\x1b]0;title\x07", "tcp:a\u202eb:1", "\x1b[2J"):
        result = run_sockeye("connect", text)
        assert result.status != 0
        assert not CONTROL.search(result.err.encode()), result.err


# ---- lines for people ----

def test_verbose(start_sockeye, needs):
    needs("move", "splice")
    with listen_tcp() as listener:
        to = "tcp:{}:{}".format(*listener.getsockname())
        relay = start_sockeye("relay", "-v", "127.0.0.1:0", to)
        address = relay.listening()
        with connect(address) as client:
            local = "{}:{}".format(*client.getsockname())
            server, _ = listener.accept()
            with server:
                client.sendall(b"abc")
                assert receive_exactly(server, 3) == b"abc"
                client.shutdown(socket.SHUT_WR)
                relay.wait_event("eof", side="from")
        relay.wait_stderr("closed")
    lines = relay.stderr.splitlines()
    assert all(line.startswith("sockeye: relay: ") for line in lines)
    assert f"listening on tcp:{address.text} (" in lines[0]
    assert f"1: connected from {local}" in lines[1] and f"1: connected to {to[4:]}" in lines[2]
    assert "1: the from side has ended its sending" in lines[3]
    assert re.search(r"1: closed, end, 3 bytes to and 0 back in \d+ ms \(splice, none\)", lines[-1])


def test_quiet(start_sockeye):
    """Not a word of single peers, however they end; the exit status speaks."""
    with listen_tcp() as placeholder:
        to = "tcp:{}:{}".format(*placeholder.getsockname())
    relay = start_sockeye("relay", "--quiet", "127.0.0.1:0", to)
    with pytest.raises(ConnectionResetError), connect(relay.listening()) as client:
        receive_all(client)
    relay.wait_event("closed", reason="refused")
    assert relay.stop() == 128 + signal.SIGTERM
    assert relay.stderr == ""


def test_quiet_keeps_the_error_that_ends_it(run_sockeye):
    with listen_tcp() as listener:
        result = run_sockeye("echo", "--quiet", "tcp:{}:{}".format(*listener.getsockname()))
    assert result.status == 4 and "address already in use" in result.err


def test_a_servers_notice_tells_the_port(start_sockeye):
    echo = start_sockeye("echo", "127.0.0.1:0")
    address = echo.listening()
    assert echo.wait_stderr(r"sockeye: echo: listening on (\S+) \((\S+)\)\n")[1].decode() == (
        f"tcp:{address.text}")
    assert echo.stdout == b""


def test_what_comes_often_is_said_once_a_second(start_sockeye):
    with listen_tcp() as placeholder:
        to = "tcp:{}:{}".format(*placeholder.getsockname())
    relay = start_sockeye("relay", "127.0.0.1:0", to)
    address = relay.listening()
    for _ in range(100):
        with pytest.raises(ConnectionResetError), connect(address) as client:
            receive_all(client)
    relay.wait_events(100, "closed")
    assert relay.stop() == 128 + signal.SIGTERM
    said = [line for line in relay.stderr.splitlines() if "connection refused" in line]
    seconds = sum(event["ms"] for event in relay.events if event["event"] == "closed") / 1000
    assert 1 <= len(said) <= 5 + seconds
    more = sum(int(count) for count in re.findall(r"and (\d+) more of these", relay.stderr))
    plain = len([line for line in said if "more of these" not in line])
    assert plain + more == 100, relay.stderr


def test_a_reset_is_in_the_events(start_sockeye):
    echo = start_sockeye("echo", "127.0.0.1:0")
    sock = connect(echo.listening())
    sock.sendall(b"hello")
    assert receive_exactly(sock, 5) == b"hello"
    reset(sock)
    closed = echo.wait_event("closed")
    assert (closed["reason"], closed["bytes"]) == ("reset", [5, 5])
    assert "connection reset by peer" in closed["error"]
