"""TLS endpoints: who is believed and who is not, on both sides, and what is said of it; peers that others wrote, both
ways; peers that break the protocol."""

import json
import pathlib
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from certificates import Certificates
from peers import connect, listen_tcp, payload, receive_all, receive_exactly, tool
from processes import DEADLINE_S, eventually

pytestmark = pytest.mark.usefixtures("_has_tls")


@pytest.fixture
def _has_tls(needs):
    needs("tls", "library")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls") / "certs")


def port(process):
    return process.listening().port


# ---- verification: a table, and both sides ----

GOOD = [("good", "localhost", ""), ("good", "127.0.0.1", ""), ("server", "localhost", ""),
        ("by_between", "localhost", ""), ("rsa", "localhost", ""), ("wildcard", "a.example.org", ""),
        ("good", "localhost", "crl")]
BAD = [
    ("expired", "localhost", "", r"the certificate expired on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"),
    ("early", "localhost", "", r"the certificate is not valid before \d{4}-\d\d-\d\d "),
    ("misnamed", "localhost", "",
     r"not for localhost, it is for other\.example, 192\.0\.2\.7, third\.example"),
    ("misnamed", "127.0.0.1", "", r"not for 127\.0\.0\.1, it is for other\.example"),
    ("nameless", "localhost", "", r"not for localhost, it is for no name at all"),
    ("wildcard", "example.org", "", r"not for example\.org, it is for \*\.example\.org"),
    ("wildcard", "a.b.example.org", "", r"not for a\.b\.example\.org, it is for \*\.example\.org"),
    ("self_signed", "localhost", "", r"the certificate is self-signed"),
    ("unknown", "localhost", "", r"issuer is unknown: CN = Somebody Else"),
    ("alone", "localhost", "", r"issuer is unknown: CN = Test Intermediate"),
    ("client", "localhost", "", r"not one for servers"),
    ("weak", "localhost", "", r"the key of the certificate is too weak: 1024 bits"),
    ("revoked", "localhost", "crl", r"the certificate was revoked"),
]


@pytest.fixture(scope="module")
def openssl_servers(certs):
    """openssl_servers(name) is the port of a TLS server in this process with that certificate, which answers
    each peer with a word and its end."""
    servers = {}

    def serve(listener, context):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE_S)
            try:
                with context.wrap_socket(sock, server_side=True) as secured:
                    secured.sendall(b"hello\n")
                    secured.unwrap()
            except (OSError, ssl.SSLError):
                pass

    def port_of(name):
        if name not in servers:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.load_cert_chain(getattr(certs, name).path)
            listener = listen_tcp()
            listener.settimeout(None)
            thread = threading.Thread(target=serve, args=(listener, context), daemon=True)
            thread.start()
            servers[name] = listener
        return servers[name].getsockname()[1]
    yield port_of
    for listener in servers.values():
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def client_text(certs, server_port, name, options):
    text = f"tls:127.0.0.1:{server_port},name={name},ca={certs.ca}"
    return text + (f",crl={certs.crl}" if "crl" in options else "")


def test_servers_that_are_believed(run_sockeye, certs, openssl_servers, engine):
    for name, host, options in GOOD:
        result = run_sockeye("connect", "--engine", engine, client_text(certs, openssl_servers(name), host, options))
        assert (result.status, result.out, result.err) == (0, b"hello\n", ""), (name, host, result)


def test_servers_that_are_not(run_sockeye, certs, openssl_servers, engine):
    for name, host, options, words in BAD:
        result = run_sockeye("connect", "--engine", engine, client_text(certs, openssl_servers(name), host, options))
        first = result.err.splitlines()[0]
        assert (result.status, result.out) == (6, b"") and re.search(words, first), (name, host, result)
        assert first.startswith("sockeye: connect: tls:127.0.0.1:")


def test_a_weak_key_of_our_own(run_sockeye, certs):
    result = run_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.weak}")
    assert result.status == 6 and "is too weak" in result.err


CLIENTS = [("client", None), ("good", None), ("by_between", "no revocation list of CN = Test Intermediate"),
           ("expired", "expired on"), ("early", "not valid before"), ("self_signed", "self-signed"),
           ("unknown", "issuer is unknown: CN = Somebody Else"), ("alone", "issuer is unknown"),
           ("server", "not one for clients"), ("revoked", "was revoked"), (None, "the peer gave no certificate")]


def test_clients_that_a_server_believes_and_not(start_sockeye, run_sockeye, certs, engine):
    server = start_sockeye("echo", "--engine", engine,
                           f"tls:127.0.0.1:0,cert={certs.good},ca={certs.ca},crl={certs.crl}")
    for number, (name, words) in enumerate(CLIENTS, 1):
        text = f"tls:localhost:{port(server)},family=4,ca={certs.ca}"
        text += f",cert={getattr(certs, name)}" if name else ""
        result = run_sockeye("connect", text, stdin=b"hello\n")
        closed = server.wait_event("closed", conn=number)
        if words:
            # Of TLS 1.3 a client is done before the server has seen its certificate: then it is told by an alert.
            assert result.status in (5, 7) and result.out == b"", (name, result)
            assert closed["reason"] == "tls" and words in closed["error"], (name, closed)
        else:
            assert (result.status, result.out, result.err) == (0, b"hello\n", ""), (name, result)
            told = server.wait_event("tls", conn=number)
            assert told["verified"] and told["subject"] == f"CN = {getattr(certs, name).name}"
    assert "127.0.0.1: tls:127.0.0.1:0" in server.stderr


def test_a_client_with_a_weak_key(start_sockeye, certs, engine):
    """Ours would not load it."""
    server = start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good},ca={certs.ca}")
    context = ssl.create_default_context(cafile=certs.ca)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(certs.weak.path)
    with connect(server.listening()) as plain, pytest.raises(ssl.SSLError, match="ALERT"):
        context.wrap_socket(plain, server_hostname="localhost").recv(1)
    closed = server.wait_event("closed")
    assert closed["reason"] == "tls" and "the key of the certificate is too weak: 1024 bits" in closed["error"]


# ---- pins, and what stands in for what ----

def test_the_systems_trust_store(run_sockeye, certs, openssl_servers):
    """SSL_CERT_FILE says where that is (openssl-env(7))."""
    text = f"tls:127.0.0.1:{openssl_servers('good')}"
    assert run_sockeye("connect", text).status == 6
    result = run_sockeye("connect", text, env={"SSL_CERT_FILE": str(certs.ca)})
    assert (result.status, result.out) == (0, b"hello\n"), result


def test_a_pin_stands_in_for_chain_and_name(run_sockeye, certs, openssl_servers):
    for name in ("self_signed", "expired"):
        leaf = getattr(certs, name)
        text = f"tls:127.0.0.1:{openssl_servers(name)},pin={leaf.pin}"
        assert run_sockeye("connect", text).out == b"hello\n"
    wrong = run_sockeye("connect", f"tls:127.0.0.1:{openssl_servers('good')},pin={certs.expired.pin}")
    assert wrong.status == 6 and "public key is not the one that pin= names" in wrong.err
    both = f"tls:127.0.0.1:{openssl_servers('expired')},pin={certs.expired.pin},ca={certs.ca}"
    assert run_sockeye("connect", both).status == 6


def test_insecure_is_loud(run_sockeye, openssl_servers):
    result = run_sockeye("connect", "--quiet", f"tls:127.0.0.1:{openssl_servers('expired')},insecure")
    assert (result.status, result.out) == (0, b"hello\n")
    assert "insecure: the peer is not verified" in result.err


def test_the_self_signed_one_names_its_pin(run_sockeye, certs, openssl_servers):
    result = run_sockeye("connect", f"tls:127.0.0.1:{openssl_servers('self_signed')}")
    assert result.status == 6 and f"pin={certs.self_signed.pin}" in result.err


@pytest.mark.parametrize("target", ["127.0.0.1:0", "{}/s", "@eye-tls-{}"])
def test_a_throw_away_certificate(start_sockeye, start, sockeye, target, tmp_path):
    """The printed command is run as it is."""
    server = start_sockeye("echo", "tls:" + target.format(tmp_path if "/" in target else tmp_path.name))
    command = server.wait_stderr(r"clients: sockeye (connect \S+,pin=sha256:[0-9a-f]{64})\n")[1].decode()
    assert server.wait_event("listening")["pin"] in command
    client = start(sockeye, *command.split())
    client.send("hello\n")
    client.close_stdin()
    assert client.wait() == 0 and client.stdout == b"hello\n", client


# ---- options ----

@pytest.mark.parametrize("options, status, words", [
    ("ciphers=ECDH-ECDSA-AES128-GCM-SHA256", 2, "ECDHE-ECDSA-AES128-GCM-SHA256 is the ephemeral one"),
    ("ciphers=ECDHE-ECDSA-AES128-GCM-SHA25", 2, "did you mean 'ECDHE-ECDSA-AES128-GCM-SHA256'?"),
    ("ciphers=AES128-SHA:nothing", 2, "there is no cipher 'nothing'"),
    ("suites=TLS_AES_128_GCM_SHA255", 2, "did you mean 'TLS_AES_128_GCM_SHA256'?"),
    ("tls-min=1.3,tls-max=1.2", 2, "tls-min=1.3 is above tls-max="),
    ("tls-min=1.3,ciphers=AES128-SHA", 2, "leave no version"),
    ("cert=/nowhere/c.pem", 1, "/nowhere/c.pem: no such file or directory"),
    ("cert={ca}", 1, "no private key in PEM in"),
    ("cert={crl}", 1, "no certificate in PEM in"),
    ("cert={ca},key={good}", 6, "is not the certificate's"),
    ("ca={crl}", 1, "holds no certificate in PEM"),
    ("crl={crl}", 2, "crl= wants ca= beside it"),
    ("key={good}", 2, "want cert= beside them"),
    ("insecure,ca={ca}", 2, "insecure does not go with"),
    ("cert={locked}", 1, "needs a passphrase"),
    ("cert={locked},pass=env:EYE_NOT_SET", 1, "pass=env:EYE_NOT_SET: no such file"),
    ("cert={locked},pass=env:EYE_WRONG", 6, "the passphrase is not the one"),
    ("alpn=h2::x", 2, "alpn= is empty"),
])
def test_options_that_cannot_be(run_sockeye, certs, options, status, words):
    text = "tls:127.0.0.1:0," + options.format(ca=certs.ca, crl=certs.crl, good=certs.good, locked=certs.locked)
    result = run_sockeye("echo", text, env={"EYE_WRONG": "not it"})
    assert result.status == status and words in result.err, result


def test_a_socket_file_needs_a_name(run_sockeye, tmp_path):
    result = run_sockeye("connect", f"tls:{tmp_path}/nobody")
    assert result.status == 2 and "name= is missing" in result.err


def test_passphrases(start_sockeye, run_sockeye, certs, tmp_path):
    (tmp_path / "pass").write_text("open sesame\n")
    with (tmp_path / "pass").open() as held:
        for where, more in (("env:EYE_PASS", {"env": {"EYE_PASS": "open sesame"}}),
                            (f"file:{tmp_path}/pass", {}), (f"fd:{held.fileno()}", {"pass_fds": [held.fileno()]})):
            server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.locked},pass={where}", **more)
            server.listening()


def test_a_key_that_others_may_read(start_sockeye, certs, tmp_path):
    loose = tmp_path / "loose.pem"
    loose.write_bytes(certs.good.path.read_bytes())
    loose.chmod(0o644)
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={loose}")
    server.listening()
    assert f"warning: others may read the private key in {loose} (mode 0644)" in server.stderr


def handshake(start_sockeye, certs, server_options="", client_options=""):
    """The tls events of both sides of one connection, or the client's exit status and the server's error."""
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.good}{server_options}")
    client = start_sockeye("connect", f"tls:localhost:{port(server)},family=4,ca={certs.ca}{client_options}")
    client.close_stdin()
    status = client.wait()
    if status:
        return status, server.wait_event("closed")["error"]
    return client.wait_event("tls"), server.wait_event("tls")


@pytest.mark.parametrize("server, client, version, cipher", [
    ("", "", "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ("", ",tls-max=1.2", "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (",suites=TLS_AES_128_GCM_SHA256", "", "TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    (",ciphers=ECDHE-ECDSA-AES128-GCM-SHA256", "", "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (",ciphers=ECDHE-ECDSA-AES128-GCM-SHA256,suites=TLS_CHACHA20_POLY1305_SHA256", "", "TLSv1.3",
     "TLS_CHACHA20_POLY1305_SHA256"),
])
def test_versions_and_ciphers(start_sockeye, certs, server, client, version, cipher):
    for told in handshake(start_sockeye, certs, server, client):
        assert (told["version"], told["cipher"], told["path"]) == (version, cipher, "user")


@pytest.mark.parametrize("server, client, words", [
    (",tls-min=1.3", ",tls-max=1.2", "no version of TLS that is allowed here"),
    (",ciphers=ECDHE-ECDSA-AES128-GCM-SHA256", ",ciphers=ECDHE-ECDSA-AES256-GCM-SHA384", "no cipher that is"),
    (",alpn=h2", ",alpn=http/1.1", "no application protocol"),
])
def test_nothing_in_common(start_sockeye, certs, server, client, words):
    status, error = handshake(start_sockeye, certs, server, client)
    assert status == 5 and words in error


def test_alpn(start_sockeye, certs):
    for told in handshake(start_sockeye, certs, ",alpn=h2:http/1.1", ",alpn=http/1.1:h2"):
        assert told["alpn"] == "h2"


def test_keys_are_logged_where_it_is_asked_for(start_sockeye, certs, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    handshake(start_sockeye, certs)
    lines = (tmp_path / "keys").read_text().splitlines()
    assert len([line for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")]) == 2
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("options", ["", ",tls-max=1.2"])
def test_a_relay_resumes(start_sockeye, certs, engine, options):
    """The relay's own connections to the server resume, one after another."""
    server = start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good}{options}")
    relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0",
                          f"tls:localhost:{port(server)},family=4,ca={certs.ca}")
    for _ in range(3):
        with connect(relay.listening()) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b"hello"
    told = relay.wait_events(3, "tls")
    for events in (told, server.wait_events(3, "tls")):
        assert [event["resumed"] for event in events] == [False, True, True]
    assert all(event["verified"] for event in told)


def test_small_records_do_not_wait(start_sockeye, certs):
    """A peer's kernel takes 40 ms to acknowledge what its program does not answer, a ticket for one; Nagle's algorithm
    would hold the next record back until then."""
    server = start_sockeye("listen", f"tls:127.0.0.1:0,cert={certs.good}")
    context = ssl.create_default_context(cafile=certs.ca)
    took = []
    with context.wrap_socket(connect(server.listening()), server_hostname="localhost") as sock:
        for _ in range(10):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            server.send("a")
            assert sock.recv(10) == b"a"
            began = time.monotonic()
            server.send("b")
            assert sock.recv(10) == b"b"
            took.append(time.monotonic() - began)
        server.close_stdin()
    assert min(took[1:]) < 0.035, took


def test_ciphers_are_listed(run_sockeye):
    rows = [json.loads(line) for line in run_sockeye("doctor", "--json").out.splitlines()]
    rows = {row["name"]: row for row in rows if row["area"] == "cipher"}
    assert rows["ECDHE-ECDSA-AES128-GCM-SHA256"].items() >= {
        "id": 50380843, "protocol": "TLSv1.2", "strength_bits": 128, "alg_bits": 128,
        "description": "ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2 Kx=ECDH Au=ECDSA Enc=AESGCM(128) Mac=AEAD"}.items()
    assert rows["TLS_AES_256_GCM_SHA384"]["protocol"] == "TLSv1.3"


# ---- joined to other things ----

def test_the_way_to_the_server_and_back(start_sockeye, certs, engine, tmp_path):
    """tcp -> tls (origination) -> tls over a Unix socket (both) -> tcp (termination), 3 MiB each way."""
    echo = start_sockeye("echo", "127.0.0.1:0")
    back = start_sockeye("relay", "--engine", engine, f"tls:{tmp_path}/s,cert={certs.good}", echo.listening().text)
    back.listening()
    middle = start_sockeye("relay", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.rsa}",
                           f"tls:{tmp_path}/s,name=localhost,ca={certs.ca}")
    front = start_sockeye("relay", "--engine", engine, "127.0.0.1:0",
                          f"tls:localhost:{port(middle)},family=4,ca={certs.ca}")
    data = payload(3 << 20)
    with connect(front.listening()) as sock:
        answer = []
        reader = threading.Thread(target=lambda: answer.append(receive_all(sock)))
        reader.start()
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        reader.join()
    assert answer == [data]
    for relay in (front, middle, back):
        closed = relay.wait_event("closed")
        assert (closed["bytes"], closed["reason"]) == ([len(data)] * 2, "end")


def test_commands_and_standard_input(start_sockeye, run_sockeye, certs):
    server = start_sockeye("listen", "--exec", "sort -r", f"tls:127.0.0.1:0,cert={certs.good}")
    result = run_sockeye("connect", f"tls:localhost:{port(server)},family=4,ca={certs.ca}", stdin=b"a\nb\nc\n")
    assert (result.status, result.out) == (0, b"c\nb\na\n")
    once = start_sockeye("listen", f"tls:127.0.0.1:0,cert={certs.good}")
    once.close_stdin()
    result = run_sockeye("connect", f"tls:localhost:{port(once)},family=4,ca={certs.ca},tls-max=1.2", stdin=b"hello")
    assert once.wait() == 0 and once.stdout == b"hello"


def test_check(start_sockeye, run_sockeye, certs):
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.good}")
    text = f"tls:localhost:{port(server)},family=4"
    assert run_sockeye("connect", "--check", f"{text},ca={certs.ca}").status == 0
    assert server.wait_event("closed")["reason"] == "end"  # close_notify came
    assert run_sockeye("connect", "--check", text).status == 6


def test_denied_before_the_handshake(start_sockeye, certs):
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.good},deny=127.0.0.0/8")
    with pytest.raises((ConnectionResetError, BrokenPipeError)), connect(server.listening()) as sock:
        sock.sendall(b"x")
        sock.recv(1)
    assert server.wait_event("closed")["reason"] == "denied"
