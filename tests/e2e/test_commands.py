"""Commands as endpoints: pair, listen --exec, exec in a relay; and what --trace and --crlf do."""

import contextlib
import os
import re
import resource
import signal
import socket

import pytest

from peers import connect, payload, receive_all, receive_exactly
from processes import eventually, never

KINDS = ("exec", "exec,pipes", "exec,pty")
DUMPED = re.compile(rb"([<>]) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z  connection (\d+), "
                    rb"from the (first|second) end, (\d+) bytes?\n((?:[0-9a-f]{8}  .*\n)+)")
ROW = re.compile(rb"([0-9a-f]{8})  (.{50})\|(.*)\|\n")


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


# ---- pair ----

def test_pair_joins_both_ways(start_sockeye, engine):
    pair = start_sockeye("pair", "--engine", engine, "echo Hello Parent; read line; echo \"$line\" >&2", "cat")
    assert pair.wait() == 0
    assert pair.stderr == "Hello Parent\n"
    exits = pair.wait_events(2, "exit", conn=1, status=0)
    assert sorted(event["side"] for event in exits) == ["from", "to"]
    assert all(gone(event["pid"]) for event in exits)


def test_pair_carries_a_lot_both_ways(start_sockeye, tmp_path):
    """Each sends a file of its own while it takes the other's."""
    for number in (1, 2):
        (tmp_path / f"sent{number}").write_bytes(payload(3_000_000, number))
    # A socketpair ends for the other when nobody has it open any more, so each reads a known length.
    command = "cat {0}/sent{1} & head -c 3000000 > {0}/got{1}; wait"
    pair = start_sockeye("pair", command.format(tmp_path, 1), command.format(tmp_path, 2))
    assert pair.wait() == 0, pair
    for number in (1, 2):
        assert (tmp_path / f"got{number}").read_bytes() == (tmp_path / f"sent{3 - number}").read_bytes()


@pytest.mark.parametrize("commands, lines", [
    (("exit 3", "cat > /dev/null"), ["exit 3: exited with 3"]),
    (("cat > /dev/null", "kill -9 $$"), ["kill -9 $$: ended by signal 9"]),
    (("exit 3", "read line; exit 4"), ["exit 3: exited with 3", "read line; exit 4: exited with 4"]),
    (("exec /no/such 2> /dev/null", "exit 0"), ["exec /no/such 2> /dev/null: exited with 127"]),
])
def test_pair_says_which_failed_and_how(run_sockeye, commands, lines):
    result = run_sockeye("pair", *commands)
    assert (result.status, result.out) == (1, b"")
    assert sorted(result.err.splitlines()) == [f"sockeye: pair: {line}" for line in lines]


def test_pair_tells_a_signal(start_sockeye):
    pair = start_sockeye("pair", "kill -TERM $$", "cat")
    assert pair.wait() == 1
    assert pair.wait_event("exit", side="from")["signal"] == signal.SIGTERM
    assert pair.wait_event("exit", side="to")["status"] == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_pair_is_ended_by_a_signal(start_sockeye, tmp_path, signum):
    pair = start_sockeye("pair", f"echo >> {tmp_path}/up; exec sleep 1000",
                         f"trap '' TERM; echo >> {tmp_path}/up; exec sleep 1000",
                         "--grace", "50ms")
    up = tmp_path / "up"
    eventually(lambda: up.exists() and up.stat().st_size == 2, "both run")
    assert pair.stop(signum) == 128 + signum
    assert pair.wait_event("exit", side="from")["signal"] == signal.SIGTERM
    assert pair.wait_event("exit", side="to")["signal"] == signal.SIGKILL


def test_pair_without_descriptors(run_sockeye):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    result = run_sockeye("pair", "cat", "cat", preexec_fn=limit)
    assert result.status == 1
    assert result.err.count("\n") == 1 and "too many open files" in result.err


# ---- exec in a join ----

@pytest.mark.parametrize("kind", KINDS)
def test_a_command_of_its_own_for_each_peer(start_sockeye, engine, kind):
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0", f"{kind}:cat; exit 5")
    address = relay.listening()
    with connect(address) as first, connect(address) as second:
        for sock in (first, second, first):
            sock.sendall(b"line\n")
            assert receive_exactly(sock, 5) == b"line\n"
        first.shutdown(socket.SHUT_WR)
        assert receive_all(first) == b""
        assert relay.wait_event("exit", conn=1)["status"] == 5
        second.sendall(b"still\n")
        assert receive_exactly(second, 6) == b"still\n"
    pids = [relay.wait_event("exit", conn=conn)["pid"] for conn in (1, 2)]
    assert relay.wait_events(2, "closed", reason="end")
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_peer_hangs_up_on_its_command(start_sockeye, engine, kind):
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0", f"{kind}:echo up; exec sleep 1000")
    with connect(relay.listening()) as sock:
        assert receive_exactly(sock, 3) == b"up\n"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert relay.wait_event("exit")["signal"] == signal.SIGHUP
    assert relay.wait_event("closed")["reason"] == "reset"


@pytest.mark.parametrize("command", ["cat", "exec sleep 1000"])
def test_a_command_whose_other_end_is_refused_is_hung_up_on(start_sockeye, tmp_path, command):
    relay = start_sockeye("relay", f"exec:{command}", f"{tmp_path}/none")
    assert relay.wait() == 4
    exited = relay.wait_event("exit", side="from", conn=1)
    assert exited.get("signal") == signal.SIGHUP or (command == "cat" and exited["status"] == 0)
    assert [event["event"] for event in relay.events][-2:] == ["exit", "closed"]
    assert gone(exited["pid"])


def test_a_server_that_ends_ends_its_commands(start_sockeye):
    relay = start_sockeye("relay", "--grace", "10ms", "127.0.0.1:0",
                          "exec:trap '' TERM; echo up; exec sleep 1000")
    with connect(relay.listening()) as sock:
        assert receive_exactly(sock, 3) == b"up\n"
        assert relay.stop() == 128 + signal.SIGTERM
    assert relay.wait_event("exit")["signal"] == signal.SIGKILL
    assert relay.wait_event("closed")["reason"] == "timeout"


@pytest.mark.parametrize("kind", KINDS)
def test_input_that_a_command_leaves_unread_is_exit_7(start_sockeye, engine, kind):
    """Its output is delivered whole; what it did not take is lost, and said to be."""
    client = start_sockeye("connect", "--engine", engine, f"{kind}:read line; echo \"$line\"")
    client.wait_event("connected")
    with contextlib.suppress(BrokenPipeError):  # it may have ended by then
        client.send("one\n" + "more\n" * 1_000_000)
    client.close_stdin()
    assert client.wait() == 7
    assert client.stdout == b"one\n"
    assert client.stderr == f"sockeye: connect: {kind}:read line; echo \"$line\": broken pipe\n"


def test_an_exit_status_is_had_where_SIGCHLD_is_ignored(start_sockeye):
    client = start_sockeye("connect", "exec:exit 3", stdin=None,
                           preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert client.wait() == 0
    assert client.wait_event("exit")["status"] == 3


def test_a_terminal_takes_lines(start_sockeye):
    client = start_sockeye("connect", "exec,pty:test -t 0 && stty -a | grep -o ' -echo ' && cat")
    client.wait_stdout(" -echo \n")
    client.send("typed\n")
    client.wait_stdout("typed\n")
    client.close_stdin()
    assert client.wait() == 0
    assert client.stdout == b" -echo \ntyped\n"


# ---- listen --exec ----

def test_listen_exec_serves_all_at_once(start_sockeye, peers, engine):
    server = start_sockeye("listen", "--engine", engine, "--exec", "sed -u s/^/got:/", "127.0.0.1:0")
    address = server.listening()
    clients = [peers.client(name, address) for name in ("nc", "ncat", "socat")]
    for client in clients:
        client.send("one\n")
    for client in clients:
        client.wait_stdout("got:one\n")
    for client in reversed(clients):
        client.send("two\n")
        client.close_stdin()
        assert client.wait() == 0
        assert client.stdout == b"got:one\ngot:two\n"
    assert len(server.wait_events(3, "exit", status=0)) == 3
    assert server.stop() == 128 + signal.SIGTERM


def test_listen_exec_is_bounded(start_sockeye):
    server = start_sockeye("listen", "--exec", "cat", "127.0.0.1:0,max=2")
    address = server.listening()
    with connect(address) as first, connect(address) as second, connect(address) as third:
        for sock in (first, second):
            sock.sendall(b"x")
            assert receive_exactly(sock, 1) == b"x"
        third.sendall(b"third")
        # It would be accepted as soon as the second was.
        never(lambda: [e for e in server.events if e.get("conn") == 3], "a third peer")
        first.close()
        assert receive_exactly(third, 5) == b"third"
    assert server.wait_event("exit", conn=1)["status"] == 0


@pytest.mark.parametrize("command", ["//bin/echo two slashes", "echo a,b:c"])
def test_listen_exec_takes_the_command_as_it_is(start_sockeye, command):
    server = start_sockeye("listen", "--exec", command, "127.0.0.1:0")
    with connect(server.listening()) as sock:
        assert receive_all(sock).decode() == command.partition(" ")[2] + "\n"


def test_listen_exec_leaves_standard_input_alone(start, sockeye, tmp_path):
    """And so --crlf says nothing to it."""
    shell = start("sh", "-c", f"{sockeye} listen --exec cat {tmp_path}/s & cat; kill $!; wait $!")
    shell.send("for cat\n")
    shell.wait_stdout("for cat\n")
    shell.close_stdin()
    assert shell.wait() == 128 + signal.SIGTERM
    refused = start(sockeye, "listen", "--crlf", "--exec", "cat", f"{tmp_path}/s")
    assert refused.wait() == 2


# ---- --crlf ----

@pytest.mark.parametrize("sent, came", [
    (b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb\n", b"a\r\nb\r\n"), (b"\n\n", b"\r\n\r\n"), (b"\r", b"\r"),
    (b"no end", b"no end"), (b"", b""),
])
@pytest.mark.parametrize("command", ["connect", "listen"])
def test_crlf(start_sockeye, command, sent, came):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        if command == "connect":
            client = start_sockeye("connect", "--crlf", "127.0.0.1:%d" % listener.getsockname()[1])
            sock, _ = listener.accept()
        else:
            client = start_sockeye("listen", "--crlf", "127.0.0.1:0")
            sock = connect(client.listening())
    with sock:
        client.send(sent)
        client.close_stdin()
        assert receive_all(sock) == came
        sock.sendall(b"answer\n")  # which stays as it is
        sock.close()
        assert client.wait() == 0 and client.stdout == b"answer\n"
    moved = [len(came), 7] if command == "connect" else [7, len(came)]
    assert client.wait_event("closed")["bytes"] == moved


def test_a_trace_shows_what_crlf_made(run_sockeye, tmp_path):
    trace = tmp_path / "trace"
    result = run_sockeye("connect", "--crlf", f"--trace={trace}", "exec:cat", stdin=b"a\nb\n")
    assert result.status == 0
    dumps = [line for line in trace.read_text().splitlines() if line.startswith("0000")]
    assert len(dumps) == 2 and all("61 0d 0a 62 0d 0a" in line for line in dumps)


def test_crlf_across_pieces(start_sockeye):
    client = start_sockeye("connect", "--crlf", "exec:od -An -c")
    client.send(b"a\r")
    client.wait_event("connected")
    client.send(b"\nb\n")
    client.close_stdin()
    assert client.wait() == 0
    assert client.stdout.split() == [b"a", b"\\r", b"\\n", b"b", b"\\r", b"\\n"]


# ---- --trace ----

def read_dump(text):
    """The pieces of a dump: (direction, connection, offset, bytes); all of the text must be of them."""
    pieces, at = [], 0
    while at < len(text):
        match = DUMPED.match(text, at)
        assert match, text[at:at + 200]
        mark, conn, end, size, rows = match.groups()
        assert (mark, end) in ((b">", b"first"), (b"<", b"second"))
        data, offset = b"", None
        for row in ROW.finditer(rows):
            place, values = int(row[1], 16), bytes.fromhex(row[2].decode())
            offset = place if offset is None else offset
            assert place == offset + len(data)
            assert row[3] == bytes(b if 32 <= b < 127 else ord(".") for b in values)
            data += values
        assert len(data) == int(size)
        pieces.append((mark.decode(), int(conn), offset, data))
        at = match.end()
    return pieces


def test_trace_shows_what_passes(start_sockeye, engine):
    client = start_sockeye("connect", "--engine", engine, "--trace", "exec:cat")
    client.send(bytes(range(40)))
    client.wait_stdout(b"'")
    client.send("again\n")
    client.wait_stdout(b"again\n")
    client.close_stdin()
    assert client.wait() == 0
    assert read_dump(client.stderr.encode()) == [
        (mark, 1, offset, data) for offset, data in ((0, bytes(range(40))), (40, b"again\n"))
        for mark in "><"]
    assert client.wait_event("closed")["path"] == ["copy", "copy"]


def test_trace_of_many_peers_in_a_file(start_sockeye, tmp_path):
    dump = tmp_path / "dump"
    relay = start_sockeye("relay", f"--trace={dump}", "127.0.0.1:0", "exec:cat")
    data = [payload(100_000, number) for number in (1, 2)]
    address = relay.listening()
    with connect(address) as first:
        first.sendall(b"1")
        assert receive_exactly(first, 1) == b"1"  # it is connection 1
        with connect(address) as second:
            for sock, piece in ((first, data[0]), (second, data[1])):
                sock.sendall(piece[:50_000])
                assert receive_exactly(sock, 50_000) == piece[:50_000]
            for sock, piece in ((first, data[0]), (second, data[1])):
                sock.sendall(piece[50_000:])
                assert receive_exactly(sock, 50_000) == piece[50_000:]
    relay.wait_events(2, "closed")
    seen = {}
    for mark, conn, offset, piece in read_dump(dump.read_bytes()):
        stream = seen.setdefault((mark, conn), bytearray())
        assert offset == len(stream)
        stream += piece
    assert seen == {(mark, conn): (b"1" if conn == 1 else b"") + data[conn - 1]
                    for mark in "><" for conn in (1, 2)}
    assert "connection" not in relay.stderr


def test_trace_that_cannot_be_written_is_told(run_sockeye, tmp_path):
    result = run_sockeye("connect", "--trace=/dev/full", "exec:cat", stdin=b"whole\n")
    assert (result.status, result.out) == (1, b"whole\n")
    assert result.err == "sockeye: connect: /dev/full: no space left on device\n"
    result = run_sockeye("connect", f"--trace={tmp_path}/no/dump", "exec:cat", stdin=b"none\n")
    assert (result.status, result.out) == (1, b"")
    assert result.err == f"sockeye: connect: {tmp_path}/no/dump: no such file or directory\n"


# ---- an inherited socket that listens ----

def test_an_inherited_socket_that_blocks(start_sockeye, engine):
    """O_NONBLOCK is left alone, and accept(2) waits for nobody all the same; who comes after the end is still in
    the queue of whoever has the socket, too."""
    if engine == "thread":
        pytest.skip("an inherited socket is for one thread")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = start_sockeye("echo", "--engine", engine, f"fd:{listener.fileno()}",
                               pass_fds=[listener.fileno()])
        with connect(server.listening()) as sock:
            sock.sendall(b"x")
            assert receive_exactly(sock, 1) == b"x"
        server.wait_event("closed")
        assert server.stop() == 128 + signal.SIGTERM  # with nobody there to wake it
        assert listener.getblocking()
        with connect(listener.getsockname()), listener.accept()[0]:
            pass
