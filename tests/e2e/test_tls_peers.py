"""TLS with programs that others wrote, both ways, on TLS 1.2 and 1.3; and with peers that break it."""

import contextlib
import os
import re
import socket
import ssl
import struct
import threading

import pytest

from certificates import Certificates
from peers import connect, listen_tcp, payload, receive_all, receive_exactly, tcp_ports, tool
from processes import DEADLINE_S, eventually

VERSIONS = ["1.2", "1.3"]


@pytest.fixture(autouse=True)
def _has_tls(needs):
    needs("tls", "library")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls") / "certs")


@pytest.fixture
def echo(start_sockeye, certs):
    def start_echo(options="", engine="auto"):
        return start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good}{options}")
    return start_echo


def only(version):
    return f",tls-min={version},tls-max={version}"


# ---- their clients ----

def client_words(name, certs, port, version):
    number = version.replace("1.", "1_") if name == "s_client" else version
    return {
        "s_client": ("openssl", "s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-CAfile", certs.ca,
                     "-servername", "localhost", "-verify_hostname", "localhost", "-tls" + number,
                     "-connect", f"127.0.0.1:{port}"),
        "ncat": ("ncat", "--ssl-verify", "--ssl-trustfile", certs.ca, "--ssl-servername", "localhost",
                 "127.0.0.1", port),
        "socat": ("socat", "-t", DEADLINE_S, "-",
                  f"OPENSSL:localhost:{port},pf=ip4,cafile={certs.ca},"
                  f"openssl-min-proto-version=TLS{version},openssl-max-proto-version=TLS{version}"),
    }[name]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["s_client", "ncat", "socat"])
def test_their_clients(start, echo, certs, name, version):
    """Each gets its lines back, and an end that it takes for one."""
    server = echo(only(version))
    words = client_words(name, certs, server.listening().port, version)
    client = start(tool(words[0]), *words[1:])
    client.send("hello\n")
    client.wait_stdout("hello\n")
    client.send("and again\n")
    client.wait_stdout("and again\n")
    client.close_stdin()
    assert client.wait() == 0, client
    assert client.stdout == b"hello\nand again\n"
    assert "errno" not in client.stderr
    closed = server.wait_event("closed")
    # ncat never says close_notify, so nobody knows whether that was all.
    assert (closed["reason"], closed["bytes"]) == ("truncated" if name == "ncat" else "end", [16, 16])
    assert server.wait_event("tls")["version"] == f"TLSv{version}"


def test_a_clean_end_for_s_client(start, start_sockeye, certs):
    """What the sheet's `read:errno=0` shows is that nobody said close_notify."""
    server = start_sockeye("listen", f"tls:127.0.0.1:0,cert={certs.good}")
    client = start(tool("openssl"), "s_client", "-connect", f"127.0.0.1:{server.listening().port}", "-CAfile", certs.ca,
                   "-msg", "-ign_eof")
    server.send("hello\n")
    client.wait_stdout("hello\n")
    server.close_stdin()
    client.wait()
    assert re.search(rb"<<< TLS 1.3, Alert \[length 0002\], warning close_notify", client.stdout), client
    assert b"closed\n" in client.stdout and b"errno" not in client.stdout
    server.wait()


@pytest.mark.parametrize("version", VERSIONS)
def test_curl(start_sockeye, peers, http_server, certs, version, tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "file").write_bytes(payload(3 << 20))
    web = http_server(tmp_path / "web")
    relay = start_sockeye("relay", f"tls:127.0.0.1:0,cert={certs.good}{only(version)},alpn=http/1.1", web.address.text)
    port = relay.listening().port
    curl = peers.curl("--cacert", certs.ca, f"--tlsv{version}", "--tls-max", version, "--ipv4", "--http1.1",
                      f"https://localhost:{port}/file", f"https://localhost:{port}/file")
    assert curl.wait() == 0 and curl.stdout == payload(3 << 20) * 2, curl.stderr
    assert relay.wait_event("tls")["alpn"] == "http/1.1"


@pytest.mark.parametrize("version", VERSIONS)
def test_stunnel_as_the_client(start, echo, certs, version, tmp_path):
    server = echo(only(version))
    config = tmp_path / "stunnel.conf"
    config.write_text(f"foreground = yes\npid =\n[a]\nclient = yes\naccept = 127.0.0.1:0\n"
                      f"connect = 127.0.0.1:{server.listening().port}\nCAfile = {certs.ca}\nverifyChain = yes\n"
                      "checkHost = localhost\nsni = localhost\n")
    stunnel = start(tool("stunnel4"), config)
    port = eventually(lambda: tcp_ports(stunnel.pid), "stunnel listens")[0]
    with connect(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b"hello"
    assert server.wait_event("closed")["reason"] == "end"
    assert server.wait_event("tls")["version"] == f"TLSv{version}"


# ---- their servers ----

def server_words(name, certs, version, tmp_path):
    return {
        "s_server": ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certs.good, "-key", certs.good,
                     "-quiet", "-naccept", "1", "-tls" + version.replace(".", "_")),
        "ncat": ("ncat", "-l", "--ssl", "--ssl-cert", certs.good, "--ssl-key", certs.good, "127.0.0.1", "0"),
        "socat": ("socat", "-t", DEADLINE_S, f"OPENSSL-LISTEN:0,bind=127.0.0.1,cert={certs.good},verify=0,"
                  f"openssl-min-proto-version=TLS{version},openssl-max-proto-version=TLS{version}", "-"),
    }[name]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["s_server", "ncat", "socat"])
def test_their_servers(start, start_sockeye, certs, name, version, tmp_path):
    words = server_words(name, certs, version, tmp_path)
    server = start(tool(words[0]), *words[1:])
    port = eventually(lambda: tcp_ports(server.pid), "it listens")[0]
    client = start_sockeye("connect", f"tls:localhost:{port},family=4,ca={certs.ca}{only(version)}")
    client.send("to the server\n")
    server.wait_stdout("to the server\n")
    server.send("and back\n")
    client.wait_stdout("and back\n")
    client.close_stdin()
    server.close_stdin()
    assert client.wait() in ((0, 7) if name == "ncat" else (0,)), client  # it says close_notify at times
    assert client.wait_event("tls")["version"] == f"TLSv{version}"


@pytest.mark.parametrize("version", VERSIONS)
def test_stunnel_as_the_server(start, start_sockeye, run_sockeye, certs, version, tmp_path):
    echo = start_sockeye("echo", "127.0.0.1:0")
    config = tmp_path / "stunnel.conf"
    config.write_text(f"foreground = yes\npid =\n[a]\naccept = 127.0.0.1:0\nconnect = {echo.listening().text}\n"
                      f"cert = {certs.good}\nCAfile = {certs.ca}\nverifyChain = yes\n")
    stunnel = start(tool("stunnel4"), config)
    port = eventually(lambda: tcp_ports(stunnel.pid), "stunnel listens")[0]
    text = f"tls:localhost:{port},family=4,ca={certs.ca}{only(version)}"
    result = run_sockeye("connect", f"{text},cert={certs.client}", stdin=b"hello\n")
    assert (result.status, result.out) == (0, b"hello\n"), result
    assert run_sockeye("connect", text).status in (5, 7)  # it wants a certificate


# ---- new keys in the middle: K asks for the peer's as well, k does not; and R, a renegotiation ----

@pytest.fixture
def s_server(start, certs):
    def start_server(version):
        server = start(tool("openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", certs.good, "-key", certs.good,
                       "-tls" + version.replace(".", "_"))
        return server, eventually(lambda: tcp_ports(server.pid), "it listens")[0]
    return start_server


@pytest.fixture
def s_client(start, certs):
    def start_client(address, version):
        return start(tool("openssl"), "s_client", "-connect", f"127.0.0.1:{address.port}", "-CAfile", certs.ca,
                     "-tls" + version.replace(".", "_"))
    return start_client


@pytest.mark.parametrize("command", ["K", "k"])
def test_a_client_updates_its_keys(s_client, echo, command):
    server = echo()
    client = s_client(server.listening(), "1.3")
    for count, text in enumerate(("before", "after", "later"), 1):
        client.send(f"{text}\n")
        client.wait_stdout(f"{text}\n")
        client.send(f"{command}\n")
        client.wait_stderr("KEYUPDATE\n" * count)
    client.send("Q\n")
    assert client.wait() == 0
    closed = server.wait_event("closed")
    assert (closed["reason"], closed["bytes"]) == ("end", [19, 19])


@pytest.mark.parametrize("command", ["K", "k"])
def test_a_server_updates_its_keys(s_server, start_sockeye, certs, command):
    server, port = s_server("1.3")
    client = start_sockeye("connect", f"tls:localhost:{port},family=4,ca={certs.ca}")
    for text in ("before", "after", "later"):
        client.send(f"{text}\n")
        server.wait_stdout(f"{text}\n")
        server.send(f"{text} too\n")
        client.wait_stdout(f"{text} too\n")
        server.send(f"{command}\n")
    client.close_stdin()
    server.send("Q\n")
    client.wait()
    assert client.stdout == b"before too\nafter too\nlater too\n"


def test_a_client_that_would_negotiate_anew(s_client, start_sockeye, certs):
    """It hears that we do not (RFC 5246, 7.2.2), and gives up by an alert of its own."""
    server = start_sockeye("listen", f"tls:127.0.0.1:0,cert={certs.good}")
    client = s_client(server.listening(), "1.2")
    client.send("before\n")
    server.wait_stdout("before\n")
    client.send("R\n")
    client.wait_stderr("no renegotiation")
    assert server.wait() == 5 and "the peer's alert: handshake failure" in server.stderr
    assert client.wait() == 1


def test_a_server_that_would_negotiate_anew(s_server, start_sockeye, certs):
    server, port = s_server("1.2")
    client = start_sockeye("connect", f"tls:localhost:{port},family=4,ca={certs.ca}")
    client.send("before\n")
    server.wait_stdout("before\n")
    server.send("R\n")
    with contextlib.suppress(BrokenPipeError):
        client.send("it looks when there is something to read\n")
    server.wait_stderr("no renegotiation")
    assert client.wait() == 5 and "the peer's alert: handshake failure" in client.stderr


# ---- peers that break it ----

def hello():
    """A ClientHello as Python writes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return outgoing.read()


def secured(address, certs, **options):
    context = ssl.create_default_context(cafile=certs.ca)
    for key, value in options.items():
        setattr(context, key, value)
    return context.wrap_socket(connect(address), server_hostname="localhost")


def test_what_is_no_handshake(echo, run_sockeye, certs, engine):
    server = echo(engine=engine)
    address = server.listening()
    plain = [(b"GET / HTTP/1.0\r\n\r\n", "no TLS"), (b"hello, is this an echo?\n", "no TLS"),
             (hello()[:40], "ended in the middle of its handshake"), (b"", "ended in the middle of its handshake"),
             (struct.pack("!BHH", 22, 0x0301, 16384 + 1) + b"\1\0\0\0" * 4097, "data length too long"),
             (struct.pack("!BHH", 22, 0x0301, 16384 + 257) + bytes(17000), "data length too long")]
    for number, (data, words) in enumerate(plain, 1):
        with connect(address) as sock:
            with contextlib.suppress(OSError):  # it may have turned us away by now
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                receive_all(sock)
        closed = server.wait_event("closed", conn=number)
        assert closed["reason"] == "tls" and words in closed["error"], (data[:20], closed)
    with secured(address, certs) as sock:
        sock.sendall(b"still served")
        assert sock.recv(100) == b"still served"


# ---- peers that are turned away ----

def test_python_reads_why(echo, certs, engine):
    """It has sent more than the server has read when it is turned away: a reset would take the alert from it."""
    address = echo(f",ca={certs.ca}", engine).listening()
    for _ in range(20):
        with secured(address, certs) as sock, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            sock.sendall(bytes(20000))
            sock.sendall(bytes(20000))
            sock.recv(1)


@pytest.mark.parametrize("options, more, words", [
    (",ca={ca}", (), b"alert certificate required"),
    (",ca={ca},tls-max=1.2", (), b"alert handshake failure"),
    (",ca={ca}", ("-cert", "{expired}", "-key", "{expired}"), b"alert certificate expired"),
    (",tls-min=1.3", ("-tls1_2",), b"alert protocol version"),
    (",alpn=h2", ("-alpn", "http/1.1"), b"alert no application protocol"),
])
def test_s_client_reads_why(start, echo, certs, options, more, words):
    names = {"ca": certs.ca, "expired": certs.expired}
    port = echo(options.format(**names)).listening().port
    clients = []
    for _ in range(5):
        clients.append(start(tool("openssl"), "s_client", "-quiet", "-connect", f"127.0.0.1:{port}",
                             *(word.format(**names) for word in more)))
        with contextlib.suppress(BrokenPipeError):
            clients[-1].send("x" * 5000)
    for client in clients:
        client.wait()
        assert words in client.stderr.encode(), client


@pytest.mark.parametrize("talks", [True, False])
def test_one_that_stays_after_it_was_turned_away(echo, certs, talks):
    """It gets a second, or 64 KiB."""
    server = echo(f",ca={certs.ca}")
    with secured(server.listening(), certs) as sock:
        with contextlib.suppress(ssl.SSLError, OSError):
            while talks:
                sock.send(bytes(16384))
        closed = server.wait_event("closed")
        assert closed["reason"] == "tls" and "gave no certificate" in closed["error"]


def test_a_record_that_is_too_long(echo, certs):
    server = echo()
    with secured(server.listening(), certs) as sock:
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        raw.sendall(struct.pack("!BHH", 23, 0x0303, 16384 + 257) + bytes(16384 + 257))
        raw.close()
        closed = server.wait_event("closed")
        assert closed["reason"] == "tls"


@pytest.mark.parametrize("end, reason", [("reset", "reset"), ("cut", "truncated"), ("half", "truncated")])
def test_ends_without_an_end(echo, certs, end, reason):
    server = echo()
    sock = secured(server.listening(), certs)
    sock.sendall(b"hello")
    assert sock.recv(10) == b"hello"
    raw = socket.socket(fileno=sock.detach())
    if end == "half":
        raw.sendall(struct.pack("!BHH", 23, 0x0303, 100) + b"not all of it")
    if end == "reset":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    assert server.wait_event("closed")["reason"] == reason


def test_a_server_that_is_cut_is_truncation(start_sockeye, run_sockeye, certs):
    with listen_tcp() as listener:
        def serve():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs.good.path)
            sock = context.wrap_socket(listener.accept()[0], server_side=True)
            assert sock.recv(10) == b""  # or its end would meet ours, and be a reset
            sock.sendall(b"half of an ans")
            os.close(sock.detach())
        thread = threading.Thread(target=serve)
        thread.start()
        result = run_sockeye("connect", f"tls:localhost:{listener.getsockname()[1]},family=4,ca={certs.ca}")
        thread.join()
    assert (result.status, result.out) == (7, b"half of an ans") and "truncated" in result.err


def test_one_that_never_answers_our_end(start_sockeye, certs):
    """We have said close_notify and do not wait for the peer's, which never comes."""
    server = start_sockeye("listen", "--eof", "close", f"tls:127.0.0.1:0,cert={certs.good}")
    with secured(server.listening(), certs) as sock:
        server.close_stdin()
        assert server.wait() == 0
        assert sock.recv(1) == b""  # and not an error: it came as an end


def test_a_silent_one_holds_nobody_up(start_sockeye, certs, engine):
    server = start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good},timeout=400ms")
    address = server.listening()
    with connect(address) as silent, connect(address) as half:
        half.sendall(hello()[:100])
        for _ in range(3):
            with secured(address, certs) as sock:
                sock.sendall(b"hello")
                assert sock.recv(10) == b"hello"
        closed = server.wait_events(2, "closed", reason="timeout")
        assert all("no TLS handshake within 0.4 s" in event["error"] for event in closed)
        for sock in (silent, half):
            assert sock.recv(1) == b""


def test_a_silent_server(run_sockeye, certs, engine):
    """It takes the connection and says nothing, or half a word."""
    for said in (b"", b"\x16\x03\x03\x00\x50\x02"):
        with listen_tcp() as listener:
            text = f"tls:localhost:{listener.getsockname()[1]},family=4,ca={certs.ca},timeout=300ms"
            held = []
            thread = threading.Thread(target=lambda: held.append(listener.accept()[0]) or held[0].sendall(said))
            thread.start()
            result = run_sockeye("connect", "--engine", engine, text)
            thread.join()
            held[0].close()
        assert (result.status, result.out) == (124, b"") and "no TLS handshake within 0.3 s" in result.err, result


def test_many_at_once(start_sockeye, certs, engine):
    """All are connected before the first of them speaks. The soak has a thousand."""
    count = 60
    server = start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good}")
    address = server.listening()
    context = ssl.create_default_context(cafile=certs.ca)
    clients = [context.wrap_socket(connect(address), server_hostname="localhost") for _ in range(count)]
    try:
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        for number, client in enumerate(clients):
            assert client.recv(100) == b"%d" % number
    finally:
        for client in clients:
            client.close()
    server.wait_events(count, "closed")
    assert len([event for event in server.events if event["event"] == "tls"]) == count


@pytest.mark.not_sanitized
def test_a_stuck_reader_costs_a_bounded_amount(start_sockeye, certs):
    """It sends for ever and reads nothing: the server stops reading."""
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.good}")
    with secured(server.listening(), certs) as sock:
        for _ in range(40):  # through all the buffers that connections share
            sock.sendall(bytes(1 << 19))
            receive_exactly(sock, 1 << 19)
        sock.settimeout(0.3)
        before = server.resident_bytes()
        with pytest.raises((TimeoutError, ssl.SSLError, BlockingIOError)):
            for _ in range(10000):
                sock.sendall(bytes(65536))
        assert server.resident_bytes() - before < 2 << 20
