"""relay: any two endpoints joined, with real programs on both sides."""

import contextlib
import resource
import signal
import socket
import threading
import time

import pytest

from peers import TCP_CLIENTS, connect, digest, listen_tcp, payload, receive_all, receive_exactly, reset

MIB = 1 << 20
KINDS = {"tcp": "tcp:127.0.0.1:0", "unix": "unix:{}", "abstract": "unix:@{}",
         "seqpacket": "unix:{},type=seqpacket"}


def endpoint(kind, tmp_path, name):
    return KINDS[kind].format(f"{tmp_path}/{name}" if kind != "abstract"
                              else f"eye-{tmp_path.parent.name}-{tmp_path.name}-{name}")


def text_of(address, kind="tcp"):
    return address.text + (",type=seqpacket" if kind == "seqpacket" else "")


@pytest.fixture
def backend():
    """A listening socket of the test's own, on loopback."""
    with listen_tcp() as listener:
        host, port = listener.getsockname()
        listener_text = f"tcp:{host}:{port}"
        yield listener, listener_text


@pytest.fixture
def relayed(start_sockeye, backend):
    """relayed(*options) gives a relay and the two sockets on its two sides."""
    opened = []

    def open_both(*options, front="tcp:127.0.0.1:0"):
        listener, text = backend
        relay = start_sockeye("relay", *options, front, text)
        client = connect(relay.listening())
        opened.append(client)
        server, _ = listener.accept()
        server.settimeout(20)
        opened.append(server)
        return relay, client, server
    yield open_both
    for sock in opened:
        sock.close()


# ---- what can be joined ----

@pytest.mark.parametrize("to", ["tcp", "unix", "abstract"])
@pytest.mark.parametrize("front", ["tcp", "unix", "abstract"])
def test_streams(start_sockeye, engine, front, to, tmp_path):
    echo = start_sockeye("echo", endpoint(to, tmp_path, "back"))
    relay = start_sockeye("relay", "--engine", engine, endpoint(front, tmp_path, "front"),
                          echo.listening().text)
    data = payload(2 * MIB)
    with connect(relay.listening()) as sock:
        answer = []
        reader = threading.Thread(target=lambda: answer.append(receive_all(sock)))
        reader.start()
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        reader.join()
        assert answer == [data]
    closed = relay.wait_event("closed")
    assert (closed["bytes"], closed["reason"]) == ([len(data)] * 2, "end")
    assert relay.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_files_through_real_programs(start_sockeye, peers, engine, client, tmp_path):
    """client -> relay on tcp -> relay on a Unix socket -> socat, which answers with another file."""
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(payload(12 * MIB, 1))
    back.write_bytes(payload(9 * MIB, 2))
    copies = tmp_path / "there.copy", tmp_path / "back.copy"
    with there.open("rb") as in_there, back.open("rb") as in_back, \
            copies[0].open("wb") as out_there, copies[1].open("wb") as out_back:
        server = peers.listener("socat", stdin=in_back, stdout=out_there)
        second = start_sockeye("relay", "--once", "--engine", engine, f"{tmp_path}/s",
                               server.address.text)
        second.listening()
        first = start_sockeye("relay", "--once", "--engine", engine, "127.0.0.1:0", f"{tmp_path}/s")
        peer = peers.client(client, first.listening(), stdin=in_there, stdout=out_back)
        for process in (peer, first, second, server):
            assert process.wait() == 0, process
    assert (digest(copies[0]), digest(copies[1])) == (digest(there), digest(back))
    for relay in (first, second):
        assert relay.wait_event("closed")["bytes"] == [12 * MIB, 9 * MIB]


def test_seqpacket_keeps_messages(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", endpoint("seqpacket", tmp_path, "back"))
    relay = start_sockeye("relay", "--engine", engine, endpoint("seqpacket", tmp_path, "front"),
                          text_of(echo.listening(), "seqpacket"))
    messages = [payload(size, size) for size in (1, 2, 5000, 60_000, 3)]
    with connect(relay.listening().host, socket.SOCK_SEQPACKET) as sock:
        for message in messages:
            sock.send(message)
        assert [sock.recv(100_000) for _ in messages] == messages
    assert relay.wait_event("closed")["path"] == ["copy", "copy"]


def test_seqpacket_to_tcp(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", "127.0.0.1:0")
    relay = start_sockeye("relay", "--engine", engine, endpoint("seqpacket", tmp_path, "front"),
                          echo.listening().text)
    with connect(relay.listening().host, socket.SOCK_SEQPACKET) as sock:
        for message in (b"one ", b"two ", b"three"):
            sock.send(message)
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b"one two three"


def test_stdio_as_the_first_end(start_sockeye, peers):
    server = peers.listener("socat")
    relay = start_sockeye("relay", "-", server.address.text)
    relay.send("to the server\n")
    server.wait_stdout("to the server\n")
    relay.close_stdin()
    server.send("late\n")
    server.close_stdin()
    assert relay.wait() == 0 and relay.stdout == b"late\n"


def test_stdio_as_the_second_end(start_sockeye, peers):
    relay = start_sockeye("relay", "--once", "127.0.0.1:0", "-")
    client = peers.client("nc", relay.listening())
    client.send("to the relay\n")
    relay.wait_stdout("to the relay\n")
    client.close_stdin()
    relay.send("late\n")
    relay.close_stdin()
    assert client.wait() == 0 and client.stdout == b"late\n"
    assert relay.wait() == 0


def test_dial_and_listen_turn_the_roles_round(start_sockeye):
    """FROM dials and TO listens: two servers' clients meet, as at a rendezvous."""
    with listen_tcp() as listener:
        host, port = listener.getsockname()
        relay = start_sockeye("relay", f"tcp:{host}:{port},dial", "tcp:127.0.0.1:0,listen")
        dialled, _ = listener.accept()
    with dialled, connect(relay.listening()) as caller:
        caller.sendall(b"in\n")
        assert receive_exactly(dialled, 3) == b"in\n"
        dialled.sendall(b"out\n")
        assert receive_exactly(caller, 4) == b"out\n"
    assert relay.wait() == 0


# ---- curl and a real HTTP server ----

@pytest.mark.parametrize("front", ["tcp", "unix"])
def test_curl_fetches_a_large_file(start_sockeye, peers, http_server, engine, front, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "large").write_bytes(payload(24 * MIB))
    server = http_server(site)
    relay = start_sockeye("relay", "--engine", engine, endpoint(front, tmp_path, "front"),
                          server.address.text)
    address = relay.listening()
    via = [f"http://{address.text}/large"] if front == "tcp" else [
        "--unix-socket", address.host, "http://localhost/large"]
    curl = peers.curl("--fail", "--output", tmp_path / "copy", *via)
    assert curl.wait() == 0, curl
    assert digest(tmp_path / "copy") == digest(site / "large")


def test_curl_keeps_its_connection(start_sockeye, peers, http_server, engine, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for number in range(5):
        (site / str(number)).write_bytes(payload(100_000, number))
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0", http_server(site).address.text)
    base = f"http://{relay.listening().text}"
    curl = peers.curl("--fail", "--remote-name-all", "--output-dir", tmp_path, "--write-out",
                      "%{num_connects}\n", *(f"{base}/{number}" for number in range(5)))
    assert curl.wait() == 0, curl
    assert curl.stdout == b"1\n0\n0\n0\n0\n"
    for number in range(5):
        assert digest(tmp_path / str(number)) == digest(site / str(number))
    closed = relay.wait_event("closed")
    assert closed["reason"] == "end" and closed["bytes"][1] > 500_000


# ---- how the bytes are moved ----

def test_two_sockets_are_spliced(relayed, needs, engine):
    needs("move", "splice")
    relay, client, server = relayed("--engine", engine)
    data = payload(MIB)
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    assert receive_all(server) == data
    sender.join()
    server.sendall(b"short")
    server.close()
    assert receive_all(client) == b"short"
    closed = relay.wait_event("closed")
    assert (closed["path"], closed["bytes"]) == (["splice", "splice"], [MIB, 5])


def test_a_way_without_bytes_has_no_path(relayed):
    relay, client, server = relayed()
    client.close()
    server.close()
    assert relay.wait_event("closed")["path"] == [None, None]


def test_without_pipes_the_bytes_are_copied(start_sockeye, backend, engine):
    """A limit of descriptors that leaves two for the sockets, and none for a pipe."""
    listener, text = backend
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0", text)
    address = relay.listening()
    held = relay.descriptors()
    limit = [number for number in range(100) if number not in held][1] + 1
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (limit, limit))
    data = payload(MIB)
    with connect(address) as client:
        server, _ = listener.accept()
        with server:
            sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
            sender.start()
            assert receive_all(server) == data
            sender.join()
    assert relay.wait_event("closed")["path"] == ["copy", None]


# ---- small pieces ----

def second_piece_s(sender, receiver):
    """How long a small piece takes behind one that its receiver has and has not acknowledged yet. It does so with
    the next thing that it says, or after 40 ms (RFC 1122, 4.2.3.2)."""
    sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    receiver.sendall(b"question")
    assert receive_exactly(sender, 8) == b"question"
    receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    sender.sendall(b"first")
    assert receive_exactly(receiver, 5) == b"first"
    begun = time.monotonic()
    sender.sendall(b"second")
    assert receive_exactly(receiver, 6) == b"second"
    return time.monotonic() - begun


@pytest.mark.parametrize("option, waits", [("", False), (",nodelay", False), (",nagle", True)])
def test_small_pieces_wait_for_nothing(start_sockeye, backend, option, waits):
    """On what is accepted and on what is dialled; unless nagle says otherwise."""
    listener, text = backend
    relay = start_sockeye("relay", f"tcp:127.0.0.1:0{option}", f"{text}{option}")
    with connect(relay.listening()) as client:
        server, _ = listener.accept()
        with server:
            for pair in ((client, server), (server, client)):
                times = [second_piece_s(*pair) for _ in range(4)]
                assert max(times) > 0.03 if waits else min(times) < 0.03, times


# ---- each way ends by itself ----

def test_the_late_answer_is_delivered_whole(relayed, engine):
    relay, client, server = relayed("--engine", engine)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(server) == b"question"
    relay.wait_event("eof", side="from")
    late = payload(4 * MIB)
    sender = threading.Thread(target=lambda: (server.sendall(late), server.close()))
    sender.start()
    assert receive_all(client) == late
    sender.join()
    assert relay.wait_event("closed")["bytes"] == [8, 4 * MIB]


def test_the_late_question_is_delivered_whole(relayed, engine):
    """The server's end comes first: the client may go on all the same."""
    relay, client, server = relayed("--engine", engine)
    server.sendall(b"greeting")
    server.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b"greeting"
    relay.wait_event("eof", side="to")
    late = payload(4 * MIB)
    sender = threading.Thread(target=lambda: (client.sendall(late), client.close()))
    sender.start()
    assert receive_all(server) == late
    sender.join()
    assert relay.wait_event("closed")["bytes"] == [4 * MIB, 8]


@pytest.mark.parametrize("who", ["server", "client"])
def test_a_reset_is_passed_on_as_one(relayed, engine, who):
    relay, client, server = relayed("--once", "--engine", engine)
    client.sendall(b"abc")
    assert receive_exactly(server, 3) == b"abc"
    server.sendall(b"defgh")
    assert receive_exactly(client, 5) == b"defgh"
    first, other = (server, client) if who == "server" else (client, server)
    reset(first)
    with pytest.raises(ConnectionResetError):
        receive_all(other)
    assert relay.wait() == 7
    closed = relay.wait_event("closed")
    assert (closed["reason"], closed["bytes"]) == ("reset", [3, 5])
    assert "connection reset by peer" in closed["error"]
    lines = relay.stderr.splitlines()
    assert lines[-1].startswith("sockeye: relay: ") and "connection reset by peer" in lines[-1]


def test_a_reset_peer_leaves_the_others_alone(relayed, backend, engine):
    relay, client, server = relayed("--engine", engine)
    listener, _ = backend
    with connect(relay.listening()) as other:
        other_server, _ = listener.accept()
        with other_server:
            other.sendall(b"before")
            assert receive_exactly(other_server, 6) == b"before"
            client.sendall(b"x")
            assert receive_exactly(server, 1) == b"x"
            reset(server)
            relay.wait_event("closed", reason="reset")
            other_server.sendall(b"after")
            assert receive_exactly(other, 5) == b"after"


# ---- a second end that is not to be had ----

def test_a_refused_second_end_resets_the_peer(start_sockeye, engine):
    with listen_tcp() as placeholder:
        host, port = placeholder.getsockname()
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0", f"tcp:{host}:{port}")
    for number in (1, 2):
        with pytest.raises(ConnectionResetError), connect(relay.listening()) as client:
            receive_all(client)
        closed = relay.wait_event("closed", conn=number)
        assert closed["reason"] == "refused"
        assert closed["error"] == f"tcp:{host}:{port}: connection refused"
    assert relay.stop() == 128 + signal.SIGTERM
    assert f"sockeye: relay: tcp:{host}:{port}: connection refused\n" in relay.stderr


def test_once_with_a_refused_second_end_is_exit_4(start_sockeye):
    with listen_tcp() as placeholder:
        host, port = placeholder.getsockname()
    relay = start_sockeye("relay", "--once", "127.0.0.1:0", f"tcp:{host}:{port}")
    with contextlib.suppress(ConnectionResetError):
        connect(relay.listening()).close()
    assert relay.wait() == 4
    assert f"sockeye: relay: tcp:{host}:{port}: connection refused\n" in relay.stderr
