"""connect and listen: standard input and output joined to other people's servers and clients."""

import os
import signal
import socket

import pytest

from peers import TCP_CLIENTS, connect, digest, listen_tcp, payload, receive_all, receive_exactly, reset
from processes import eventually, never

MIB = 1 << 20
SERVERS_HALF = ("socat",)  # nc -l and ncat -l leave when their client has ended, and say no more


def converse(client, server, late=True):
    """Lines both ways, and one more after the client's end; both then end well."""
    client.send("question\n")
    server.wait_stdout("question\n")
    server.send("answer\n")
    client.wait_stdout("answer\n")
    client.close_stdin()
    if late:
        server.send("late\n")
        client.wait_stdout("late\n")
    server.close_stdin()
    assert client.wait() == 0, client
    assert server.wait() == 0, server
    assert (server.stdout, client.stdout) == (b"question\n", b"answer\nlate\n" if late else b"answer\n")


@pytest.mark.parametrize("option", ["append", "create"])
def test_a_file_is_not_fed_to_itself(run_sockeye, tmp_path, option):
    (tmp_path / "f").write_text("kept\n")
    result = run_sockeye("relay", f"file:{tmp_path}/f", f"file,{option}:{tmp_path}/f")
    assert result.status == 2 and "the same file" in result.err
    assert (tmp_path / "f").read_text() == "kept\n"


# ---- with real peers ----

@pytest.mark.parametrize("server", TCP_CLIENTS)
def test_connect_to_a_server_over_tcp(start_sockeye, peers, engine, server):
    listener = peers.listener(server)
    client = start_sockeye("connect", "--engine", engine, f"tcp:{listener.address.text}")
    late = server in SERVERS_HALF
    converse(client, listener, late)
    assert client.wait_event("closed")["bytes"] == [9, 12 if late else 7]


@pytest.mark.parametrize("server", TCP_CLIENTS)
def test_connect_to_a_server_on_a_unix_socket(start_sockeye, peers, server, tmp_path):
    listener = peers.listener(server, path=str(tmp_path / "s"))
    converse(start_sockeye("connect", f"unix:{tmp_path}/s"), listener, server in SERVERS_HALF)


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_listen_for_a_client_over_tcp(start_sockeye, peers, engine, client):
    server = start_sockeye("listen", "--engine", engine, "tcp:127.0.0.1:0")
    converse(peers.client(client, server.listening()), server)
    assert server.wait_event("closed")["bytes"] == [9, 12]


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_listen_for_a_client_on_a_unix_socket(start_sockeye, peers, client, tmp_path):
    server = start_sockeye("listen", f"{tmp_path}/s")
    converse(peers.client(client, server.listening()), server)


def test_abstract_socket_both_ways(start_sockeye, tmp_path):
    name = f"@eye-{tmp_path.parent.name}-{tmp_path.name}"
    server = start_sockeye("listen", f"unix:{name}")
    server.listening()
    converse(start_sockeye("connect", name), server)


def test_seqpacket_both_ways(start_sockeye, tmp_path):
    server = start_sockeye("listen", f"unix:{tmp_path}/s,type=seqpacket")
    server.listening()
    converse(start_sockeye("connect", f"unix:{tmp_path}/s,type=seqpacket"), server)


@pytest.mark.parametrize("sender_is", ["connect", "listen"])
@pytest.mark.parametrize("tool", TCP_CLIENTS)
def test_a_file_through(start_sockeye, peers, engine, tool, sender_is, tmp_path):
    """From standard input to the other program's output and back: large, whole, in both roles."""
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(payload(8 * MIB, 1))
    back_size = 5 * MIB if sender_is == "listen" or tool in SERVERS_HALF else 0
    back.write_bytes(payload(back_size, 2))
    copies = tmp_path / "there.copy", tmp_path / "back.copy"
    with there.open("rb") as in_there, back.open("rb") as in_back, \
            copies[0].open("wb") as out_there, copies[1].open("wb") as out_back:
        ours = {"stdin": in_there, "stdout": out_back}
        theirs = {"stdin": in_back, "stdout": out_there}
        if sender_is == "connect":
            other = peers.listener(tool, **theirs)
            sockeye = start_sockeye("connect", "--engine", engine, other.address.text, **ours)
        else:
            sockeye = start_sockeye("listen", "--engine", engine, "127.0.0.1:0", **ours)
            other = peers.client(tool, sockeye.listening(), **theirs)
        assert sockeye.wait() == 0, sockeye
        assert other.wait() == 0, other
    assert (digest(copies[0]), digest(copies[1])) == (digest(there), digest(back))
    closed = sockeye.wait_event("closed")
    moved = [8 * MIB, back_size]
    assert closed["bytes"] == (moved if sender_is == "connect" else moved[::-1])


# ---- what the end of standard input does ----

def where(listener):
    host, port = listener.getsockname()[:2]
    return f"tcp:{host}:{port}"


@pytest.fixture
def joined(start_sockeye):
    """joined(*options) starts connect to a server in the test; returns it and the server's socket."""
    opened = []

    def join(*options, **more):
        with listen_tcp() as listener:
            client = start_sockeye("connect", *options, where(listener), **more)
            sock, _ = listener.accept()
        opened.append(sock)
        sock.settimeout(20)
        return client, sock
    yield join
    for sock in opened:
        sock.close()


def test_eof_half_waits_for_the_late_answer(joined, engine):
    client, sock = joined("--engine", engine, "--eof", "half")
    client.send("all\n")
    client.close_stdin()
    assert receive_all(sock) == b"all\n"
    late = payload(3 * MIB)
    sock.sendall(late)
    assert client.running()
    sock.close()
    assert client.wait() == 0
    assert client.stdout == late


def test_eof_half_is_what_is_done_unless_said(joined):
    client, sock = joined()
    client.close_stdin()
    assert receive_all(sock) == b""
    sock.sendall(b"late\n")
    sock.close()
    assert client.wait() == 0 and client.stdout == b"late\n"


def test_eof_close_ends_both_ways(joined, engine):
    client, sock = joined("--engine", engine, "--eof", "close")
    sock.sendall(b"before\n")
    client.wait_stdout("before\n")
    client.send("all\n")
    client.close_stdin()
    assert client.wait() == 0  # though the other end is still open
    assert receive_all(sock) == b"all\n"


def test_eof_close_delivers_all_of_the_input_first(joined, tmp_path):
    """Standard input is at its end long before the other side has taken all."""
    source = tmp_path / "source"
    source.write_bytes(payload(32 * MIB))
    with source.open("rb") as stdin:
        client, sock = joined("--eof=close", stdin=stdin)
    assert digest(receive_all(sock)) == digest(source)
    assert client.wait() == 0


def test_eof_wait_ends_when_the_answer_pauses(joined, engine):
    client, sock = joined("--engine", engine, "--eof", "wait=300ms")
    client.close_stdin()
    assert receive_all(sock) == b""
    for number in range(3):
        sock.sendall(b"%d\n" % number)
        client.wait_stdout(b"%d\n" % number)
    assert client.wait() == 0  # though the other end is still open
    assert client.stdout == b"0\n1\n2\n"


def test_eof_of_the_other_end_leaves_the_input_open(joined):
    client, sock = joined()
    sock.shutdown(socket.SHUT_WR)
    client.wait_event("eof", side="to")
    client.send("still\n")
    assert receive_exactly(sock, 6) == b"still\n"
    client.close_stdin()
    assert client.wait() == 0


# ---- listen, once and again ----

def refuses(address):
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_listen_serves_one_peer_only(start_sockeye):
    server = start_sockeye("listen", "tcp:127.0.0.1:0")
    address = server.listening()
    with connect(address) as first:
        server.wait_event("connected")
        eventually(lambda: refuses(address), "the second peer is refused")
        first.sendall(b"one\n")
        server.wait_stdout("one\n")
        server.close_stdin()
    assert server.wait() == 0 and server.stdout == b"one\n"


def test_listen_keep_serves_one_after_another(start_sockeye, peers, engine):
    server = start_sockeye("listen", "--keep", "--engine", engine, "tcp:127.0.0.1:0")
    address = server.listening()
    first = peers.client("nc", address)
    server.wait_event("connected", conn=1)
    second = peers.client("nc", address)
    second.send("two\n")
    first.send("one\n")
    server.wait_stdout("one\n")
    server.send("to the first\n")
    first.wait_stdout("to the first\n")
    assert server.stdout == b"one\n"  # the second still waits in the queue
    first.close_stdin()
    assert first.wait() == 0
    server.wait_stdout("two\n")
    server.send("to the second\n")
    second.wait_stdout("to the second\n")
    second.close_stdin()
    assert second.wait() == 0
    assert first.stdout == b"to the first\n" and second.stdout == b"to the second\n"
    assert server.stop() == 128 + signal.SIGTERM
    assert server.stdout == b"one\ntwo\n"


def test_listen_keep_without_an_input(start_sockeye, engine):
    """sockeye listen --keep PORT </dev/null >log, as a collector: each peer in turn, whole."""
    with open(os.devnull, "rb") as stdin:
        server = start_sockeye("listen", "--keep", "--engine", engine, "127.0.0.1:0", stdin=stdin)
    for number in (1, 2, 3):
        with connect(server.listening()) as sock:
            sock.sendall(b"%d\n" % number)
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
        server.wait_event("closed", conn=number)
    server.wait_stdout(b"1\n2\n3\n")
    assert server.stop() == 128 + signal.SIGTERM


# ---- only connecting ----

def test_check(run_sockeye, start_sockeye, engine):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0")
    result = run_sockeye("connect", "--check", "--engine", engine, echo.listening().text)
    assert result == (0, b"", "")
    assert echo.wait_event("closed")["bytes"] == [0, 0]


def test_check_tells_with_v(run_sockeye, start_sockeye, tmp_path):
    echo = start_sockeye("echo", f"{tmp_path}/s", "127.0.0.1:0")
    for index in range(2):
        address = echo.listening(index)
        result = run_sockeye("connect", "--check", "-v", address.text)
        assert result.status == 0 and f"connected to {address.text}" in result.err and not result.out


def test_check_does_not_read_standard_input(run_sockeye, start_sockeye, start, sockeye):
    """nc -z in a shell's loop must leave the loop its input."""
    echo = start_sockeye("echo", "127.0.0.1:0")
    shell = start("sh", "-c", f"{sockeye} connect --check {echo.listening().text} && cat")
    shell.send("for cat\n")
    shell.close_stdin()
    assert shell.wait() == 0 and shell.stdout == b"for cat\n"


# ---- a server that is slow to accept ----

def test_a_unix_socket_whose_queue_is_full_is_waited_for(start_sockeye, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        first = connect(str(tmp_path / "s"))
        client = start_sockeye("connect", f"{tmp_path}/s")
        client.send("patient\n")
        # It finds the queue full as soon as it runs; later would only make this test a weaker one.
        never(lambda: len(client.events), "a connection")
        listener.accept()[0].close()
        sock, _ = listener.accept()
        with sock:
            assert receive_exactly(sock, 8) == b"patient\n"
        first.close()
        client.close_stdin()
        assert client.wait() == 0
    (tmp_path / "s").unlink()


def test_a_reset_is_exit_7(joined, engine):
    client, sock = joined("--engine", engine)
    sock.sendall(b"some")
    client.wait_stdout("some")
    client.send("more")
    assert receive_exactly(sock, 4) == b"more"
    reset(sock)
    assert client.wait() == 7
    lines = client.stderr.splitlines()
    assert len(lines) == 1 and "connection reset by peer" in lines[0]
    closed = client.wait_event("closed")
    assert (closed["reason"], closed["bytes"]) == ("reset", [4, 4])
