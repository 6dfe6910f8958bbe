"""The programs under examples/, run as their readers would run them: real peers, ports of the kernel's
choice, and an assertion on what each prints. $SOCKEYE_BUILD is the build folder that holds them."""

import json
import os
import pathlib
import re
import signal
import socket
import ssl
import stat
import subprocess

import pytest

import certificates
import peers as peers_module

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("SOCKEYE_BUILD", ROOT / "build")) / "examples"

LINES = b"Hello World\nand again\n"


@pytest.fixture
def example(start):
    """example(name, *args) starts a program of examples/."""
    def start_example(name, *args, **options):
        return start(FOLDER / name, *args, **options)
    return start_example


@pytest.fixture
def run_example(example):
    """The same, to its end: returns exit status, standard output, standard error."""
    def run(name, *args):
        process = example(name, *args)
        return process.wait(), process.stdout.decode(), process.stderr
    return run


def port_of(server):
    """Waits until a server says where it listens; returns the port."""
    return int(server.wait_stdout(r"listening on \S*?(?:port )?(\d+)(?: by \w+)?\n")[1])


def talk(peers, *words, lines=LINES):
    """nc sends lines, ends its sending, and gets them back."""
    nc = peers.nc("-N", *words)
    nc.send(lines)
    nc.wait_stdout(re.escape(lines) + b"$")
    nc.close_stdin()
    assert nc.wait() == 0
    assert nc.stdout == lines


def hold_dialogues(peers, port):
    """Two peers at once, each served while the other is there, and one in a hurry."""
    a, b = peers.nc("-N", "127.0.0.1", port), peers.nc("-N", "127.0.0.1", port)
    for peer, line in ((a, b"one\n"), (b, b"two\n"), (a, b"three\n"), (b, b"four\n")):
        peer.send(line)
        peer.wait_stdout(re.escape(line) + b"$")
    for peer, lines in ((b, b"two\nfour\n"), (a, b"one\nthree\n")):
        peer.close_stdin()
        assert peer.wait() == 0
        assert peer.stdout == lines
    data = os.urandom(3_000_000)
    with socket.create_connection(("127.0.0.1", port), 20) as hurried:
        hurried.sendall(data[:1000])
        assert peers_module.receive_exactly(hurried, 1000) == data[:1000]
    big = peers.socat("-t20", "-", f"TCP4:127.0.0.1:{port}")
    big.send(data)
    big.close_stdin()
    assert big.wait() == 0
    assert big.stdout == data


def udp_socket(host="127.0.0.1"):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(20)
    sock.bind((host, 0))
    return sock


def needs_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this host has no IPv6: {error.strerror}")


def test_every_program_is_built():
    sources = {path.stem for path in (ROOT / "examples").glob("*.c")}
    built = {path.name for path in FOLDER.iterdir() if path.is_file() and os.access(path, os.X_OK)}
    assert sources == built


# ---- rows 1 to 5: names and bytes ----

def test_host_name(run_example):
    status, out, err = run_example("01-host-name")
    if status and "name" in err:
        pytest.skip(f"this host does not resolve its own name: {err.strip()}")
    assert status == 0
    assert out.startswith(f"{socket.gethostname()} is ")
    local = re.search(r"^localhost is \S+\n((?:    \S+\n)+)", out, re.M)
    assert local and set(local[1].split()) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("text, line", [
    ("192.0.2.244", "AF_INET 192.0.2.244"),
    ("2001:db8:f00d::1:d", "AF_INET6 2001:db8:f00d::1:d, scope id 0"),
    ("fe80::1%lo", f"AF_INET6 fe80::1%lo, scope id {socket.if_nametoindex('lo')}"),
    ("::ffff:192.0.2.128", "AF_INET6 ::ffff:192.0.2.128, scope id 0"),
    ("0xc000027b", "AF_INET 192.0.2.123"),
    ("3221226198", "AF_INET 192.0.2.214"),
])
def test_resolve(run_example, text, line):
    assert run_example("02-resolve", text) == (0, line + "\n", "")


def test_resolve_says_what_is_invalid_and_goes_on(run_example):
    status, out, err = run_example("02-resolve", "10.0.0.256", "192.0.2.1")
    assert (status, out) == (3, "AF_INET 192.0.2.1\n")
    assert err.startswith("invalid: 10.0.0.256: ")


def test_byte_order(run_example):
    status, out, _ = run_example("03-byte-order")
    assert status == 0
    swapped = "little" in out.splitlines()[0]
    for bits, number in ((16, 256), (32, 16777216), (64, 1 << 56)):
        memory = " ".join(["00"] * (bits // 8 - 1) + ["01"])
        assert f"{bits} bits: {number if swapped else 1}, in memory {memory}\n" in out
    assert "and back: 1 1 1\n" in out
    assert out.endswith("port 5566, in memory 15 be\n")


@pytest.mark.parametrize("text, hexadecimal", [
    ("127.0.0.1", "7f000001"),
    ("255.255.255.255", "ffffffff"),
    ("::1", "00000000000000000000000000000001"),
    ("2001:db8::1:d", "20010db800000000000000000001000d"),
])
def test_address_bytes(run_example, text, hexadecimal):
    assert run_example("04-address-bytes", text) == (0, f"{text} = {hexadecimal} = {text}\n", "")


@pytest.mark.parametrize("text", ["127.0.0.256", "1.2.3", "@abstract", ""])
def test_what_is_no_address(run_example, text):
    status, out, err = run_example("04-address-bytes", text)
    assert (status, out) == (1, "")
    assert err


@pytest.mark.parametrize("text, group, local", [
    ("00:11:32:3c:c3:0b", "unicast", "universal"),
    ("00-11-32-3C-C3-0B", "unicast", "universal"),
    ("0011.323c.c30b", "unicast", "universal"),
    ("0011323cc30b", "unicast", "universal"),
    ("33:33:00:00:00:01", "group", "local"),
    ("02:00:00:00:00:01", "unicast", "local"),
])
def test_mac_bytes(run_example, text, group, local):
    bare = re.sub("[^0-9a-f]", "", text.lower())
    pairs, fours = re.findall("..", bare), re.findall("....", bare)
    lines = [":".join(pairs), "-".join(pairs), ".".join(fours), bare, f"{group}, {local}"]
    assert run_example("05-mac-bytes", text) == (0, "\n".join(lines) + "\n", "")


@pytest.mark.parametrize("text", ["", "0011323cc30", "0011323cc30bb", "00:11:32:3c:c3", "00:11-32:3c:c3:0b",
                                  "00:11:32:3c:c3:0b:", "0g:11:32:3c:c3:0b", "001132.3cc30b"])
def test_what_is_no_mac(run_example, text):
    status, out, err = run_example("05-mac-bytes", text)
    assert (status, out, err) == (1, "", f"{text}: not a MAC address\n")


# ---- rows 6 to 9, 19 to 21, 23: TCP echo ----

@pytest.mark.parametrize("words", [["06-tcp-echo"], ["09-server-framework"], ["23-selectors"],
                                   ["18-threads"], ["21-engines", "select"], ["21-engines", "poll"],
                                   ["21-engines", "epoll"]], ids=" ".join)
def test_echo(example, peers, words):
    server = example(*words, "tcp:127.0.0.1:0")
    port = port_of(server)
    talk(peers, "127.0.0.1", port)
    hold_dialogues(peers, port)
    assert server.running()
    if words[0] == "21-engines":
        assert server.stdout.endswith(f" by {words[1]}\n".encode())


# ---- rows 10, 11, 24: TLS ----

@pytest.fixture
def cert(needs, tmp_path):
    """A certificate for localhost, in one file with its key, and signed by itself."""
    needs("tls", "library")
    folder = tmp_path / "certs"
    folder.mkdir()
    return certificates.Leaf(folder, "localhost")


def secured(port, cert):
    context = ssl.create_default_context(cafile=cert.path)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")


@pytest.mark.parametrize("name", ["10-tls-echo", "24-tls-selectors"])
def test_tls_echo(example, cert, name):
    """Two at once, beside one that is silent in the middle of its handshake, and a clean end for each."""
    server = example(name, f"tls:127.0.0.1:0,cert={cert}")
    port = port_of(server)
    with socket.create_connection(("127.0.0.1", port), 20), secured(port, cert) as a, secured(port, cert) as b:
        for sock, line in ((a, b"one\n"), (b, b"two\n"), (a, b"three\n")):
            sock.sendall(line)
            assert peers_module.receive_exactly(sock, len(line)) == line
        for sock in (a, b):
            sock.unwrap()  # which waits for close_notify
    if name == "10-tls-echo":
        server.wait_stdout(r"TLSv1\.3, TLS_AES_256_GCM_SHA384\n")
        server.wait_stdout(r"tls: tls:127\.0\.0\.1:0: the peer ended in the middle of its handshake\n")


def test_tls_echo_with_a_throw_away_certificate(example, needs, run_sockeye):
    needs("tls", "library")
    server = example("10-tls-echo", "tls:127.0.0.1:0")
    port = port_of(server)
    pin = server.wait_stdout(r"clients say (pin=sha256:[0-9a-f]{64})\n")[1].decode()
    assert run_sockeye("connect", f"tls:127.0.0.1:{port},{pin}", stdin=b"hello\n").out == b"hello\n"


def test_tls_ciphers(run_example, needs):
    needs("tls", "library")
    status, out, err = run_example("11-tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert (status, err) == (0, "") and json.loads(out)["id"] == 0x0300C02B
    assert run_example("11-tls-ciphers", "ECDH-ECDSA-AES128-GCM-SHA256")[0] == 1
    assert len(run_example("11-tls-ciphers")[1].splitlines()) > 10


def test_echo_tells_of_connections(example, peers):
    server = example("06-tcp-echo", "tcp:127.0.0.1:0")
    port = port_of(server)
    talk(peers, "127.0.0.1", port)
    server.wait_stdout(r"1: connected from 127\.0\.0\.1:\d+\n1: end, 22 bytes received, 22 sent\n")
    with socket.create_connection(("127.0.0.1", port), 20) as rude:
        rude.sendall(b"x")
        assert peers_module.receive_exactly(rude, 1) == b"x"
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.wait_stdout(r"2: reset, 1 bytes received, 1 sent\n")


def test_echo_on_ipv6(example, peers):
    needs_ipv6()
    server = example("07-tcp-echo-ipv6", "tcp:[::1]:0")
    port = port_of(server)
    talk(peers, "-6", "::1", port, lines=b"Hello IPv6\n")
    server.wait_stdout(r"\[::1\]:\d+ \(scope id 0\) sent 11 bytes\n")


def test_one_socket_for_both_families(example, peers):
    needs_ipv6()
    server = example("08-both-families", "tcp:[::]:0")
    port = port_of(server)
    talk(peers, "-4", "127.0.0.1", port, lines=b"Hello IPv4\n")
    talk(peers, "-6", "::1", port, lines=b"Hello IPv6\n")
    server.wait_stdout(r"\[::ffff:127\.0\.0\.1\]:\d+ came by IPv4\n\[::1\]:\d+ came by IPv6\n")


def test_v6only_refuses_ipv4(example, peers):
    needs_ipv6()
    port = port_of(example("08-both-families", "tcp:[::]:0,v6only"))
    assert peers.nc("-N", "-4", "127.0.0.1", port).wait() == 1
    talk(peers, "-6", "::1", port, lines=b"Hello IPv6\n")


def test_engines_are_listed(run_example):
    status, out, err = run_example("21-engines")
    assert (status, err) == (0, "")
    assert {"epoll", "poll", "select"} <= set(out.split()) and "kqueue" not in out


def test_an_engine_that_is_not_there(run_example):
    status, out, err = run_example("21-engines", "wormhole", "tcp:127.0.0.1:0")
    assert (status, out) == (1, "")
    assert err.startswith("engine wormhole: ")


def test_an_endpoint_that_is_wrong(run_example):
    status, out, err = run_example("06-tcp-echo", "tcq:127.0.0.1:0")
    assert (status, out) == (1, "")
    assert "tcq" in err


# ---- rows 12 to 15: UDP ----

@pytest.mark.parametrize("name", ["12-udp-echo", "13-udp-framework"])
def test_udp_echo(example, peers, name):
    server = example(name, "udp:127.0.0.1:0")
    port = port_of(server)
    nc = peers.nc("-u", "127.0.0.1", port)
    for line in ("Hello World\n", "and again\n"):
        nc.send(line)
        nc.wait_stdout(f"{line}$")
    with udp_socket() as one, udp_socket() as two:
        for data in (b"1", b"", b"x" * 65507):
            for sock in (one, two):
                sock.sendto(data, ("127.0.0.1", port))
            assert one.recv(65536) == two.recv(65536) == data
    if name == "12-udp-echo":
        server.wait_stdout(r"\n12 bytes from 127\.0\.0\.1:\d+\n")


def test_udp_sender(run_example):
    with udp_socket() as sock:
        endpoint = "udp:127.0.0.1:%d" % sock.getsockname()[1]
        assert run_example("14-udp-sender", endpoint, "20ms", "3") == (0, "", "")
        assert [sock.recv(100) for _ in range(3)] == [b"Hello\n"] * 3
    status, out, err = run_example("14-udp-sender", endpoint, "20ms")  # nobody listens there any more
    assert (status, out, err) == (1, "", "not sent: connection refused\n")


def test_udp_broadcast(run_example):
    with udp_socket("0.0.0.0") as sock:
        endpoint = "udp:127.255.255.255:%d" % sock.getsockname()[1]
        assert run_example("15-udp-broadcast", endpoint + ",broadcast", "20ms", "2") == (0, "", "")
        for _ in range(2):
            assert re.fullmatch(rb"\d+\.\d\d\n", sock.recv(100))
        status, out, err = run_example("15-udp-broadcast", endpoint, "20ms", "2")
    assert (status, out) == (1, "") and "needs the option broadcast" in err


# ---- row 16: Unix domain sockets ----

def test_unix_echo(example, peers, tmp_path):
    path = tmp_path / "domain.sock"
    server = example("16-unix-echo", f"unix:{path}")
    server.wait_stdout(r"listening on .*domain\.sock\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    talk(peers, "-U", path, lines=b"Hello\n")
    second = example("16-unix-echo", f"unix:{path}")
    assert second.wait() == 1
    assert "a live server listens there" in second.stderr
    talk(peers, "-U", path, lines=b"still there\n")
    server.kill(signal.SIGTERM)
    assert server.wait() == 0
    assert server.stdout.endswith(b"ended in good order\n")
    assert not path.exists()
    assert second.stdout == b""


def test_copy(run_example, tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(1 << 20)
        file.write(b"data")
    status, out, _ = run_example("26-copy", tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert status == 0 and "carried 4" in out
    status, _, err = run_example("26-copy", tmp_path / "none", tmp_path / "b")
    assert status == 1 and "no such file" in err


def test_send_receive(example, tmp_path):
    (tmp_path / "file").write_bytes(peers_module.payload(3 << 20))
    (tmp_path / "in").mkdir()
    for held in (0, 3 << 20):
        process = example("27-send-receive", "file", "in", cwd=tmp_path)
        assert process.wait() == 0, process
        assert (tmp_path / "in/file").read_bytes() == (tmp_path / "file").read_bytes()
        for side in (b"sender", b"receiver"):
            assert side + b": file, 3145728 bytes, %d of them were there\n" % held in process.stdout


def test_relay(example, peers):
    echo = example("06-tcp-echo", "tcp:127.0.0.1:0")
    relay = example("relay", "tcp:127.0.0.1:0", f"127.0.0.1:{port_of(echo)}")
    talk(peers, "127.0.0.1", port_of(relay))
    relay.wait_stdout(r"peer 1: 22 bytes to, 22 back, end\n")
    assert relay.stop(signal.SIGINT) == 0


def test_relay_without_its_words(run_example):
    status, _, said = run_example("relay", "127.0.0.1:1")
    assert (status, said) == (2, "usage: relay FROM TO\n")


# ---- rows 17 and 25: two processes and a socketpair ----

def test_socketpair_and_fork(run_example):
    assert run_example("17-socketpair-fork") == (0, "child ---> parent: Hello Parent\n"
                                                    "parent ---> child: Hello Parent\n"
                                                    "the child exited with 0\n", "")


@pytest.mark.parametrize("words, answer", [
    ((), "Hi! Parent!"), (("exec:cat",), "Hi! Child!"), (("exec,pipes:cat",), "Hi! Child!"),
    (("exec,pty:cat",), "Hi! Child!"),
])
def test_a_long_dialogue(run_example, words, answer):
    assert run_example("25-dialogue", *words) == (0, f"Hi! Child! 1\n{answer} 1\n"
                                                     f"Hi! Child! 10000\n{answer} 10000\n"
                                                     "10000 rounds, and the command exited with 0\n", "")


def test_a_dialogue_that_the_other_side_ends(run_example):
    status, out, err = run_example("25-dialogue", "exec:read -r line; echo \"$line\"; exit 3")
    assert (status, err) == (1, "broken pipe\n") or out.endswith("the command exited with 3\n")
    assert out.startswith("Hi! Child! 1\nHi! Child! 1\n")
    assert run_example("25-dialogue", "exce:cat")[0] == 1


# ---- rows 28 to 31: digests and ciphers ----

@pytest.mark.parametrize("provider", ["openssl", "kernel"])
def test_ciphers(run_example, tmp_path, provider):
    (tmp_path / "text").write_text("Python is awesome!")
    status, out, err = run_example("28-hash", provider, tmp_path / "text")
    if status == 8:
        assert provider in err
        pytest.skip(err.strip())
    assert (status, out) == (0, "9d50bcac2d5e33f936ec2db7dc7b6579cba8e1b099d77c31d8564df46f66bdf5\n")
    status, out, _ = run_example("30-gcm", provider, "aes-128-gcm", "text")
    assert status == 0 and "and back: text\n" in out and "the tag does not verify" in out
    status, out, _ = run_example("30-gcm", provider, "aes-128-cbc", "x" * 40)
    assert status == 0 and "48 of ciphertext\nand back: " + "x" * 40 in out
    assert run_example("30-gcm", provider, "aes-128-cbc")[0] == 1


def test_a_file_encrypted_whole(run_example, tmp_path):
    key, text, secret, back = (tmp_path / name for name in ("key", "text", "secret", "back"))
    key.write_bytes(os.urandom(16))
    text.write_bytes(os.urandom(100_000))
    assert run_example("31-seal", "encrypt", key, text, secret) == (0, "100168 bytes\n", "")
    assert run_example("31-seal", "decrypt", key, secret, back) == (0, "100000 bytes\n", "")
    assert back.read_bytes() == text.read_bytes()
    secret.write_bytes(secret.read_bytes()[:-1])
    status, _, err = run_example("31-seal", "decrypt", key, secret, tmp_path / "none")
    assert status == 1 and "does not verify" in err and not (tmp_path / "none").exists()


# ---- rows 33 to 35: packets ----

def on(host, *words):
    subprocess.run([*host.enter, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def test_ip_sniffer(start, netns):
    sniffer = start(*netns[0].enter, FOLDER / "33-ip-sniffer", "ip:icmp")
    sniffer.wait_stdout("listening on ip:icmp\n")
    on(netns[0], "ping", "-c", "3", "-i", "0.01", "127.0.0.1")
    sniffer.wait_stdout(r"\n(?:ICMP: 127\.0\.0\.1 -> 127\.0\.0\.1\n){6}")


def test_tcp_sniffer(start, netns):
    sniffer = start(*netns[0].enter, FOLDER / "34-tcp-sniffer", "packet:lo", "tcp dst port 8000")
    sniffer.wait_stdout("listening on packet:lo\n")
    server = start(*netns[0].enter, "python3", "-u", "-m", "http.server", "8000")
    server.wait_stdout("Serving HTTP")
    on(netns[0], "curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8000/")
    sniffer.wait_stdout(r"- TCP_HEADER -+\nSource Port: \d+\nDestination Port: 8000\n(?:.*\n)*PSH: 8\nACK: 16\n"
                        r"(?:.*\n)*Checksum is: unfinished.*\n(?:.*\n)*-+ DATA -+\nGET / HTTP/1\.1\\r\\n")


def test_arp_sniffer(start, netns):
    a, b = netns
    sniffer = start(*a.enter, FOLDER / "35-arp-sniffer", f"packet:{a.interface}")
    sniffer.wait_stdout("listening on ")
    on(a, "ip", "neighbour", "flush", "dev", a.interface)
    on(a, "ping", "-c", "1", b.ip4)
    sniffer.wait_stdout(rf"- ETHERNET_FRAME -+\nDest MAC: (?:.*\n)+-+ ARP_HEADER -+\n(?:.*\n)*Opcode: 1\n(?:.*\n)*"
                        rf"Dest IP: {re.escape(b.ip4)}\n")
    sniffer.wait_stdout(rf"Opcode: 2\n.*\nSource IP: {re.escape(b.ip4)}\n")
