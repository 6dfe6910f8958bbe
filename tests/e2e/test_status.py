"""Exit statuses and the line that comes with them, and the orderly end by a signal."""

import signal
import socket

import pytest

from peers import connect, listen_tcp, receive_all, receive_exactly
from processes import eventually, never


@pytest.fixture
def closed_port():
    """An endpoint on which nobody listens."""
    with listen_tcp() as listener:
        host, port = listener.getsockname()
    return f"tcp:{host}:{port}"


@pytest.fixture
def silent_port():
    """An endpoint whose queue is full, so that nobody answers: Linux drops what does not fit."""
    with listen_tcp(backlog=0) as listener:
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            waiting.append(sock)
        host, port = listener.getsockname()
        yield f"tcp:{host}:{port}"
        for sock in waiting:
            sock.close()


def first_line(result):
    lines = result.err.splitlines()
    assert lines and not any(not line.startswith("  ") for line in lines[1:]), result
    return lines[0]


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_refused_is_4(run_sockeye, closed_port, engine, options):
    result = run_sockeye("connect", *options, "--engine", engine, closed_port)
    assert result.status == 4
    assert first_line(result) == f"sockeye: connect: {closed_port}: connection refused"
    assert "likely cause: nothing listens there" in result.err


def test_no_such_socket_file_is_4(run_sockeye, tmp_path):
    result = run_sockeye("connect", f"unix:{tmp_path}/none")
    assert result.status == 4
    assert first_line(result) == f"sockeye: connect: unix:{tmp_path}/none: no such file or directory"


def test_a_file_that_is_no_socket_is_4(run_sockeye, tmp_path):
    (tmp_path / "plain").touch()
    assert run_sockeye("connect", f"{tmp_path}/plain").status == 4


def test_another_type_of_socket_is_4(run_sockeye, start_sockeye, tmp_path):
    start_sockeye("echo", f"{tmp_path}/s").listening()
    result = run_sockeye("connect", f"unix:{tmp_path}/s,type=seqpacket")
    assert result.status == 4 and "type=" in result.err


@pytest.mark.parametrize("command", ["echo", "listen"])
def test_address_in_use_is_4(run_sockeye, command):
    with listen_tcp() as listener:
        text = "tcp:{}:{}".format(*listener.getsockname())
        result = run_sockeye(command, text)
    assert result.status == 4
    assert first_line(result) == f"sockeye: {command}: {text}: address already in use"


def test_address_of_another_host_is_4(run_sockeye):
    result = run_sockeye("echo", "tcp:192.0.2.1:0")
    assert result.status == 4
    assert first_line(result) == "sockeye: echo: tcp:192.0.2.1:0: cannot assign requested address"


def test_one_endpoint_of_several_that_fails_ends_all(run_sockeye, tmp_path):
    with listen_tcp() as listener:
        text = "tcp:{}:{}".format(*listener.getsockname())
        result = run_sockeye("echo", f"{tmp_path}/s", text)
    assert result.status == 4 and not (tmp_path / "s").exists()


@pytest.mark.parametrize("endpoint", ["tcp:no-such-host.invalid:80", "tcp:localhost:no-such-service"])
@pytest.mark.parametrize("command", [("connect",), ("connect", "--check"), ("echo",), ("listen",)])
def test_a_name_that_does_not_resolve_is_3(run_sockeye, command, endpoint):
    result = run_sockeye(*command, endpoint)
    assert result.status == 3, result
    assert first_line(result).startswith(f"sockeye: {command[0]}: ")


@pytest.mark.parametrize("arguments", [
    ("connect",), ("connect", "tcp:127.0.0.1:1", "more"), ("connect", "5566"),
    ("connect", "tcp:127.0.0.1:1,listen"), ("listen", "tcp:127.0.0.1:0,dial"), ("listen", "-"),
    ("connect", "-"), ("relay", "tcp:127.0.0.1:0"), ("relay", "-", "-"), ("echo",), ("echo", "-"),
    ("echo", "tcp:127.0.0.1:0,nosuch"), ("echo", "tpc:127.0.0.1:0"), ("echo", "tcp:127.0.0.1:99999"),
    ("echo", "--nosuch", "0"), ("echo", "--engine", "epol", "0"), ("listen", "--eof", "maybe", "0"),
    ("echo", "--grace", "5", "0"), ("nosuch",), ("echo", "tcp:127.0.0.1:0,bind=127.0.0.1")])
def test_wrong_usage_is_2(run_sockeye, arguments):
    result = run_sockeye(*arguments)
    assert result.status == 2, result
    assert result.err.startswith("sockeye: ") and not result.out


@pytest.mark.parametrize("command", [("echo", "127.0.0.1:0"), ("connect", "127.0.0.1:1"),
                                     ("relay", "127.0.0.1:0", "127.0.0.1:1")])
def test_an_engine_that_is_not_to_be_had_is_8(run_sockeye, command):
    """Never another in its place."""
    result = run_sockeye(command[0], "--engine", "kqueue", *command[1:])
    assert result.status == 8, result
    assert "kqueue" in first_line(result)


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_deadline_is_124(run_sockeye, silent_port, engine, options):
    result = run_sockeye("connect", *options, "--engine", engine, f"{silent_port},timeout=200ms")
    assert result.status == 124
    assert first_line(result) == (
        f"sockeye: connect: {silent_port},timeout=200ms: no connection within 0.2 s")


def test_idle_is_124(start_sockeye, engine):
    echo = start_sockeye("echo", "127.0.0.1:0")
    client = start_sockeye("connect", "--engine", engine, f"{echo.listening().text},idle=200ms")
    client.send("hello\n")
    client.wait_stdout("hello\n")
    assert client.wait() == 124
    assert client.wait_event("closed")["reason"] == "idle"
    assert len(client.stderr.splitlines()) == 1


# ---- signals ----

@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [("echo", "{}/s"), ("listen", "{}/s"), ("listen", "--keep", "{}/s"),
                                     ("relay", "{}/s", "{}/other")])
def test_a_signal_ends_a_waiting_server(start_sockeye, tmp_path, signum, command):
    server = start_sockeye(*(word.format(tmp_path) for word in command))
    server.listening()
    assert server.stop(signum) == 128 + signum
    assert not (tmp_path / "s").exists()
    assert server.child.returncode == -signum  # by the signal itself, so that a shell sees it


def test_a_signal_ends_connect_at_once(start_sockeye, engine):
    with listen_tcp() as listener:
        client = start_sockeye("connect", "--engine", engine, "tcp:{}:{}".format(*listener.getsockname()))
        sock, _ = listener.accept()
        with sock:
            client.wait_event("connected")
            assert client.stop(signal.SIGINT) == 128 + signal.SIGINT
            closed = client.wait_event("closed")
            assert closed["reason"] != "end"


def test_a_signal_ends_dialling(start_sockeye, silent_port):
    client = start_sockeye("connect", "--check", silent_port)
    eventually(lambda: "socket:" in " ".join(client.descriptors().values()), "a dialling socket")
    assert client.stop() == 128 + signal.SIGTERM


def test_a_second_signal_ends_at_once(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", "--engine", engine, "--grace", "1m", f"{tmp_path}/s")
    with connect(echo.listening().host) as sock:
        echo.wait_event("connected")
        echo.kill(signal.SIGTERM)
        eventually(lambda: not (tmp_path / "s").exists(), "the orderly end begins")
        sock.sendall(b"still served")
        assert receive_exactly(sock, 12) == b"still served"
        echo.kill(signal.SIGINT)
        assert echo.wait() == 128 + signal.SIGINT


def test_the_grace_lets_peers_finish(start_sockeye, engine, tmp_path):
    echo = start_sockeye("echo", "--engine", engine, f"{tmp_path}/s", "127.0.0.1:0")
    with connect(echo.listening(0).host) as one, connect(echo.listening(1)) as two:
        echo.wait_events(2, "connected")
        echo.kill(signal.SIGTERM)
        eventually(lambda: not (tmp_path / "s").exists(), "the orderly end begins")
        for sock in (one, two):
            sock.sendall(b"last words")
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b"last words"
    assert echo.wait() == 128 + signal.SIGTERM
    assert [event["reason"] for event in echo.wait_events(2, "closed")] == ["end", "end"]


@pytest.mark.parametrize("command", ["echo", "relay"])
def test_after_the_grace_peers_are_cut(start_sockeye, engine, command, tmp_path):
    with listen_tcp() as backend:
        to = ["tcp:{}:{}".format(*backend.getsockname())] if command == "relay" else []
        server = start_sockeye(command, "--engine", engine, "--grace", "300ms", f"{tmp_path}/s", *to)
        with connect(server.listening().host) as sock:
            server.wait_event("connected", side="to" if to else "from")
            server.kill(signal.SIGTERM)
            eventually(lambda: not (tmp_path / "s").exists(), "the orderly end begins")
            never(lambda: not server.running(), "the end before the grace")
            assert server.wait() == 128 + signal.SIGTERM
            closed = server.wait_event("closed")
            assert closed["reason"] == "timeout" and closed["ms"] >= 300
            try:
                assert sock.recv(1) == b""
            except ConnectionResetError:
                pass  # a Unix socket tells of bytes that nobody read


def test_relayed_peers_finish_within_the_grace(start_sockeye, engine, tmp_path):
    with listen_tcp() as backend:
        relay = start_sockeye("relay", "--engine", engine, f"{tmp_path}/s",
                              "tcp:{}:{}".format(*backend.getsockname()))
        with connect(relay.listening().host) as client:
            server, _ = backend.accept()
            with server:
                relay.wait_event("connected", side="to")
                relay.kill(signal.SIGTERM)
                eventually(lambda: not (tmp_path / "s").exists(), "the orderly end begins")
                client.sendall(b"last question")
                client.shutdown(socket.SHUT_WR)
                assert receive_all(server) == b"last question"
                server.sendall(b"last answer")
            assert receive_all(client) == b"last answer"
        assert relay.wait() == 128 + signal.SIGTERM
        assert relay.wait_event("closed")["reason"] == "end"


def test_grace_of_nothing(start_sockeye):
    echo = start_sockeye("echo", "--grace", "0s", "127.0.0.1:0")
    with connect(echo.listening()) as sock:
        echo.wait_event("connected")
        assert echo.stop() == 128 + signal.SIGTERM
        with pytest.raises(ConnectionResetError):
            receive_all(sock)
