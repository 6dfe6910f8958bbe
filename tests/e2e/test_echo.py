"""echo, talked to by other people's clients: recipes 6, 7, 8, 16 and 19 to 21."""

import contextlib
import os
import signal
import socket

import pytest

from peers import TCP_CLIENTS, connect, digest, payload, receive_all, receive_exactly

MIB = 1 << 20
SO_SNDBUFFORCE = 32


def talk(peer, *lines):
    """Says one line after another, each once the last is back; then ends."""
    said = b""
    for line in lines:
        said += line + b"\n"
        peer.send(line + b"\n")
        peer.wait_stdout(rb"(?m)^" + line + rb"\n")
    peer.close_stdin()
    assert peer.wait() == 0, peer
    assert peer.stdout == said


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_gives_each_line_back_until_the_end(start_sockeye, peers, engine, client):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0")
    talk(peers.client(client, echo.listening()), b"one", b"two", b"three")
    closed = echo.wait_event("closed")
    assert (closed["bytes"], closed["reason"]) == ([14, 14], "end")
    assert echo.events[0]["engine"] == engine


def test_over_ipv6(start_sockeye, peers, needs):
    needs("net", "ipv6")
    echo = start_sockeye("echo", "tcp:[::1]:0")
    talk(peers.nc("-N", "-6", "::1", echo.listening().port), b"six")
    assert echo.wait_event("connected")["peer"].startswith("[::1]:")


def test_one_socket_takes_both_families(start_sockeye, peers, engine, needs):
    needs("net", "dual-stack")
    echo = start_sockeye("echo", "--engine", engine, "tcp:[::]:0")
    port = echo.listening().port
    talk(peers.nc("-N", "-4", "127.0.0.1", port), b"four")
    assert echo.wait_event("connected", conn=1)["peer"].startswith("[::ffff:127.0.0.1]:")
    talk(peers.nc("-N", "-6", "::1", port), b"six")
    assert echo.wait_event("connected", conn=2)["peer"].startswith("[::1]:")
    assert len([event for event in echo.events if event["event"] == "listening"]) == 1


def test_v6only_refuses_ipv4(start_sockeye, peers, needs):
    needs("net", "ipv6")
    echo = start_sockeye("echo", "tcp:[::]:0,v6only")
    port = echo.listening().port
    refused = peers.nc("-v", "-N", "-4", "127.0.0.1", port)
    assert refused.wait() == 1 and "refused" in refused.stderr
    talk(peers.nc("-N", "-6", "::1", port), b"six")


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_unix_socket(start_sockeye, peers, engine, client, tmp_path):
    echo = start_sockeye("echo", "--engine", engine, f"unix:{tmp_path}/s")
    talk(peers.client(client, echo.listening()), b"one", b"two")
    assert echo.stop() == 128 + signal.SIGTERM
    assert not (tmp_path / "s").exists()


def test_abstract_socket(start_sockeye, peers, tmp_path):
    name = f"eye-{tmp_path.name}-{tmp_path.parent.name}"
    echo = start_sockeye("echo", f"@{name}")
    assert echo.listening().host == f"@{name}"
    talk(peers.socat("-t", "20", "-", f"ABSTRACT-CONNECT:{name}"), b"one", b"two")


def test_seqpacket_gives_each_message_back_whole(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", "--engine", engine, f"unix:{tmp_path}/s,type=seqpacket")
    with connect(echo.listening().host, socket.SOCK_SEQPACKET) as sock:
        messages = [payload(size, size) for size in (1, 7, 1000, 60_000)]
        for message in messages:
            sock.send(message)
        assert [sock.recv(100_000) for _ in messages] == messages
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert echo.wait_event("closed")["reason"] == "end"


def test_an_empty_message_is_no_end(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", "--engine", engine, f"unix:{tmp_path}/s,type=seqpacket")
    with connect(echo.listening().host, socket.SOCK_SEQPACKET) as sock:
        for message in (b"one", b"", b"two"):
            sock.send(message)
        assert [sock.recv(10), sock.recv(10)] == [b"one", b"two"]
    assert echo.wait_event("closed")["bytes"] == [6, 6]


def test_a_message_that_does_not_fit_is_truncation(start_sockeye, engine, tmp_path):
    """Larger than what a server ever holds of a peer: the peer is ended, and not given the half of it."""
    echo = start_sockeye("echo", "--engine", engine, f"unix:{tmp_path}/s,type=seqpacket,rcvbuf=1M")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE if os.getuid() == 0 else socket.SO_SNDBUF, MIB)
        sock.settimeout(20)
        sock.connect(echo.listening().host)
        try:
            sock.send(bytes(300_000))
        except OSError:
            pytest.skip("this host allows no message of that size")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(MIB) == b""
    assert echo.wait_event("closed")["reason"] == "truncated"


def test_several_endpoints_at_once(start_sockeye, peers, tmp_path):
    echo = start_sockeye("echo", "127.0.0.1:0", f"{tmp_path}/s", "127.0.0.1:0")
    for index in range(3):
        talk(peers.client("nc", echo.listening(index)), b"to %d" % index)
    assert echo.stop() == 128 + signal.SIGTERM


def test_two_at_once(start_sockeye, peers, engine):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0")
    address = echo.listening()
    one, two = (peers.client("nc", address) for _ in range(2))
    echo.wait_events(2, "connected")
    two.send("second\n")
    two.wait_stdout("second\n")
    one.send("first\n")
    one.wait_stdout("first\n")
    two.send("again\n")
    two.wait_stdout("again\n")
    for peer, said in ((one, b"first\n"), (two, b"second\nagain\n")):
        peer.close_stdin()
        assert peer.wait() == 0 and peer.stdout == said


def test_many_at_once(start_sockeye, engine):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0,backlog=300")
    address = echo.listening()
    count = 200 if engine == "thread" else 300  # it has 256 threads at most
    socks = [connect(address) for _ in range(count)]
    for turn in range(3):
        for number, sock in enumerate(socks):
            sock.sendall(b"%d of %d\n" % (turn, number))
        for number, sock in enumerate(reversed(socks), 1):
            line = b"%d of %d\n" % (turn, len(socks) - number)
            assert receive_exactly(sock, len(line)) == line
    for sock in socks:
        sock.close()
    closed = echo.wait_events(count, "closed")
    assert all(event["bytes"][0] == event["bytes"][1] for event in closed)
    assert {event["conn"] for event in closed} == set(range(1, count + 1))


@pytest.mark.parametrize("client", TCP_CLIENTS)
def test_large_transfer(start_sockeye, peers, engine, client, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(payload(16 * MIB))
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0")
    with source.open("rb") as stdin, copy.open("wb") as stdout:
        peer = peers.client(client, echo.listening(), stdin=stdin, stdout=stdout)
    assert peer.wait() == 0, peer
    assert digest(copy) == digest(source)
    assert echo.wait_event("closed")["bytes"] == [16 * MIB, 16 * MIB]


def test_answers_after_a_half_close(start_sockeye, engine):
    echo = start_sockeye("echo", "--engine", engine, "tcp:127.0.0.1:0,sndbuf=64k")
    data = payload(200_000)
    with connect(echo.listening()) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        echo.wait_event("connected")
        assert receive_all(sock) == data
    assert [event["event"] for event in echo.wait_event("closed") and echo.events] == [
        "listening", "connected", "eof", "closed"]
