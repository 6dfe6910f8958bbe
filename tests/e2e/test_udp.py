"""UDP and Unix datagrams, against other people's programs. Recipes 12 to 15."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

import peers as peers_module
from peers import receive_exactly
from processes import DEADLINE_S, eventually, never

IP_RECVTTL = 12  # linux/in.h
# Sends a datagram and prints who answers it.
ASK = f"""
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.settimeout({DEADLINE_S})
sock.bind((sys.argv[1], 0))
sock.sendto(b"who?", (sys.argv[2], int(sys.argv[3])))
data, peer = sock.recvfrom(10)
assert data == b"who?"
print(*peer)
"""


def udp(host="127.0.0.1", port=0):
    """A bound socket of the test."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(DEADLINE_S)
    sock.bind((host, port))
    return sock


def udp_port(pid):
    """The UDP port of a process that does not tell (proc_pid_net(5)); waits until it has one."""
    def find():
        inodes = set()
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
            except FileNotFoundError:
                continue
        for family in ("udp", "udp6"):
            with open(f"/proc/{pid}/net/{family}", encoding="ascii") as table:
                for row in list(table)[1:]:
                    if f"socket:[{row.split()[9]}]" in inodes:
                        return int(row.split()[1].rpartition(":")[2], 16)
        return None
    return eventually(find, "a UDP port")


def nc_listen(peers, **options):
    """nc -lu, and its port."""
    nc = peers.nc("-v", "-n", "-l", "-u", "127.0.0.1", "0", **options)
    return nc, int(nc.wait_stderr(r"Bound on \S+ (\d+)\n")[1])


def client(peers, name, host, port):
    if name == "socat":
        where = f"[{host}]" if ":" in host else host
        return peers.socat("-", f"UDP:{where}:{port}")
    return getattr(peers, name)("-u", host, port)


def talk(peer, line):
    peer.send(line)
    peer.wait_stdout(re.escape(line) + "$")


@contextlib.contextmanager
def unix_sender(path=None, to=None):
    """A socket of the test, with an address or without one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(DEADLINE_S)
        if path:
            sock.bind(str(path))
        if to:
            sock.connect(str(to))
        try:
            yield sock
        finally:
            if path:
                os.unlink(path)


# ---- row 12: echo ----

@pytest.mark.parametrize("name", ["nc", "ncat", "socat"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1"])
def test_echo(start_sockeye, peers, name, host, engine):
    """A server on every address answers from the one that was used: a peer takes it from no other."""
    port = start_sockeye("echo", "--engine", engine, "udp:[::]:0").listening().port
    peer = client(peers, name, host, port)
    for line in ("Hello World\n", "and again\n"):
        talk(peer, line)
    assert peer.stdout == b"Hello World\nand again\n"


def test_many_senders_each_gets_its_own(start_sockeye, engine):
    port = start_sockeye("echo", "--engine", engine, "udp:127.0.0.1:0").listening().port
    socks = [udp() for _ in range(100)]
    try:
        for turn in range(5):
            for number, sock in enumerate(socks):
                sock.sendto(b"%d of %d" % (turn, number), ("127.0.0.1", port))
            for number, sock in enumerate(socks):
                assert sock.recv(100) == b"%d of %d" % (turn, number)
    finally:
        for sock in socks:
            sock.close()


def test_boundaries_are_kept(start_sockeye):
    port = start_sockeye("echo", "udp:127.0.0.1:0").listening().port
    with udp() as sock:
        for size in (0, 1, 65507, 0, 1400):
            data = os.urandom(size)
            sock.sendto(data, ("127.0.0.1", port))
            assert sock.recv(65536) == data


def test_an_address_in_use(start_sockeye, run_sockeye):
    """SO_REUSEADDR, which would let a second one take the port over, is off."""
    address = start_sockeye("echo", "udp:127.0.0.1:0").listening()
    result = run_sockeye("echo", f"udp:{address.text}")
    assert result.status == 4
    assert result.err.splitlines()[0] == f"sockeye: echo: udp:{address.text}: address already in use"


def test_unix_datagrams_are_echoed(start_sockeye, tmp_path):
    server = start_sockeye("echo", f"unix:{tmp_path}/server,type=dgram")
    server.listening()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(DEADLINE_S)
        sock.bind(str(tmp_path / "client"))
        for data in (b"one", b"", b"x" * 50000):
            sock.sendto(data, str(tmp_path / "server"))
            assert sock.recv(65536) == data
    os.unlink(tmp_path / "client")
    assert server.stop() == 128 + signal.SIGTERM and not (tmp_path / "server").exists()


def test_unix_datagrams_to_socat(run_sockeye, peers, tmp_path):
    path = tmp_path / "s"
    socat = peers.socat("-u", f"UNIX-RECV:{path}", "-")
    socat.unlink_at_end.append(path)
    eventually(path.exists, "socat's socket")
    assert run_sockeye("connect", f"unix:{path},type=dgram", "--send", "{n}\\n", "--count", "3").status == 0
    socat.wait_stdout("1\n2\n3\n")


def test_unix_datagrams_larger_than_udp_has_them(start_sockeye, tmp_path):
    start_sockeye("echo", f"unix:{tmp_path}/server,type=dgram").listening()
    with unix_sender(tmp_path / "client") as sock:
        data = os.urandom(200_000)
        sock.sendto(data, str(tmp_path / "server"))
        assert sock.recv(300_000) == data


def test_a_unix_sender_that_does_not_read_holds_up_nobody(start_sockeye, tmp_path, engine):
    """What it has no room for is lost; the server goes on and does not spin."""
    echo = start_sockeye("echo", "--engine", engine, f"unix:{tmp_path}/server,type=dgram")
    echo.listening()
    with unix_sender(tmp_path / "stuck") as stuck, unix_sender(tmp_path / "other") as other:
        for _ in range(1000):
            stuck.sendto(bytes(1000), str(tmp_path / "server"))
        cpu = echo.cpu_seconds()
        other.sendto(b"there?", str(tmp_path / "server"))
        assert other.recv(10) == b"there?"
        never(lambda: not echo.running(), "the end", 0.3)
        assert echo.cpu_seconds() - cpu < 0.15


# ---- senders of Unix datagrams as peers ----

def test_listen_for_unix_datagrams(start_sockeye, tmp_path, engine):
    ours = start_sockeye("listen", "--engine", engine, f"unix:{tmp_path}/s,type=dgram")
    assert ours.listening().host == f"{tmp_path}/s"
    with unix_sender(tmp_path / "a", tmp_path / "s") as sock:  # connected: it takes from nobody else
        sock.send(b"to you\n")
        ours.wait_stdout("to you\n")
        connected = ours.wait_event("connected", side="from")
        assert (connected["peer"], connected["local"]) == (f"{tmp_path}/a", f"{tmp_path}/s")
        ours.send("to me\n")
        assert sock.recv(100) == b"to me\n"
        sock.send(b"again\n")
        ours.wait_stdout("again\n")
        ours.close_stdin()
        assert ours.wait() == 0  # after a second of silence
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", ["nc", "socat"])
def test_listen_for_peers_of_unix_datagrams(start_sockeye, peers, tmp_path, name):
    ours = start_sockeye("listen", f"unix:{tmp_path}/s,type=dgram")
    ours.listening()
    if name == "nc":
        peer = peers.nc("-u", "-U", "-s", tmp_path / "c", tmp_path / "s")
    else:
        peer = peers.socat("-", f"UNIX-SENDTO:{tmp_path}/s,bind={tmp_path}/c")
    peer.unlink_at_end.append(tmp_path / "c")
    peer.send("to you\n")
    ours.wait_stdout("to you\n")
    ours.send("to me\n")
    peer.wait_stdout("to me\n")


def test_relay_from_unix_datagrams(start_sockeye, tmp_path, engine):
    """Each sender is a peer of its own, with its answers; all leave by their silence."""
    echo = start_sockeye("echo", "udp:127.0.0.1:0").listening()
    relay = start_sockeye("relay", "--engine", engine, f"unix:{tmp_path}/s,type=dgram,idle=300ms",
                          f"udp:{echo.text}")
    relay.listening()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(unix_sender(tmp_path / str(i), tmp_path / "s" if i % 2 else None))
                 for i in range(6)]
        for size in (1, 0, 20_000):
            for sock in socks:
                data = os.urandom(size)
                sock.sendto(data, str(tmp_path / "s"))
                assert sock.recv(65536) == data
        for closed in relay.wait_events(6, "closed"):
            assert closed["reason"] == "idle" and closed["bytes"] == [20_001, 20_001]
        socks[0].sendto(b"anew", str(tmp_path / "s"))  # a peer once more
        assert socks[0].recv(10) == b"anew"


def test_unix_senders_without_an_address_are_one(start_sockeye, tmp_path):
    """They cannot be told apart or answered: what is for them is told as lost."""
    ours = start_sockeye("listen", f"unix:{tmp_path}/s,type=dgram")
    ours.listening()
    with unix_sender(to=tmp_path / "s") as one, unix_sender(to=tmp_path / "s") as two:
        one.send(b"one\n")
        two.send(b"two\n")
        one.send(b"three\n")
        ours.wait_stdout("one\ntwo\nthree\n")
    assert "peer" not in ours.wait_event("connected")
    ours.send("to whom?\n")
    ours.close_stdin()
    assert ours.wait() == 7 and "broken pipe" in ours.stderr


def test_a_unix_sender_that_is_gone(start_sockeye, tmp_path):
    ours = start_sockeye("listen", f"unix:{tmp_path}/s,type=dgram")
    ours.listening()
    with unix_sender(tmp_path / "a", tmp_path / "s") as sock:
        sock.send(b"bye\n")
        ours.wait_stdout("bye\n")
    ours.send("wait!\n")
    assert ours.wait() == 7 and ours.wait_event("closed")["reason"] == "reset"


def test_unix_senders_beyond_max_wait_their_turn(start_sockeye, tmp_path):
    relay = start_sockeye("relay", f"unix:{tmp_path}/s,type=dgram,max=1,idle=200ms", "exec:cat")
    relay.listening()
    with unix_sender(tmp_path / "a") as one, unix_sender(tmp_path / "b") as two:
        one.sendto(b"one", str(tmp_path / "s"))
        assert one.recv(10) == b"one"
        two.sendto(b"two", str(tmp_path / "s"))
        assert two.recv(10) == b"two"  # once the first has left by its silence
    names = [(event["event"], event["conn"]) for event in relay.events if event.get("side") != "to"
             and event["event"] in ("connected", "closed")]
    assert names[:3] == [("connected", 1), ("closed", 1), ("connected", 2)]


@pytest.mark.parametrize("stuck", ["the sender", "the other end"])
def test_nothing_of_unix_datagrams_is_lost(start_sockeye, tmp_path, stuck):
    """Whoever does not read is waited for, as Unix datagrams wait; nothing spins meanwhile."""
    with socket.socket(socket.AF_UNIX) as to:
        to.settimeout(DEADLINE_S)
        to.bind(str(tmp_path / "to"))
        to.listen()
        relay = start_sockeye("relay", f"unix:{tmp_path}/s,type=dgram", f"unix:{tmp_path}/to,sndbuf=16k")
        relay.listening()
        with unix_sender(tmp_path / "a", tmp_path / "s") as sock:
            sock.send(b"first")
            far, _ = to.accept()
            with far:
                far.settimeout(DEADLINE_S)
                assert receive_exactly(far, 5) == b"first"
                source, sink = (far, sock) if stuck == "the sender" else (sock, far)
                source.setblocking(False)
                sent = 0
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sent += source.send(b"%04d" % (sent // 4 % 10_000) * 250)
                cpu = relay.cpu_seconds()
                never(lambda: not relay.running(), "the end", 0.3)
                assert relay.cpu_seconds() - cpu < 0.15
                got = bytearray()
                while len(got) < sent:
                    got += sink.recv(65536)
                assert len(got) == sent
    os.unlink(tmp_path / "to")


# ---- connect and listen ----

@pytest.mark.parametrize("name", ["nc", "socat"])
def test_connect_to(start_sockeye, peers, name, engine):
    if name == "nc":
        peer, port = nc_listen(peers)
    else:
        peer = peers.socat("-d", "-d", "-", "UDP4-LISTEN:0,bind=127.0.0.1")
        port = int(peer.wait_stderr(r"listening on UDP AF=2 \S*:(\d+)\n")[1])
    ours = start_sockeye("connect", "--engine", engine, f"udp:127.0.0.1:{port}")
    ours.send("to you\n")
    peer.wait_stdout("to you\n")
    peer.send("to me\n")
    ours.wait_stdout("to me\n")
    ours.close_stdin()
    assert ours.wait() == 0  # no end comes from datagrams: after a second of silence
    assert ours.stdout == b"to me\n"


@pytest.mark.parametrize("name", ["nc", "ncat", "socat"])
def test_listen_for(start_sockeye, peers, name, engine):
    ours = start_sockeye("listen", "--engine", engine, "udp:127.0.0.1:0")
    peer = client(peers, name, "127.0.0.1", ours.listening().port)
    peer.send("to you\n")
    ours.wait_stdout("to you\n")
    ours.send("to me\n")
    peer.wait_stdout("to me\n")
    peer.send("again\n")
    ours.wait_stdout("again\n")


def test_nobody_there(run_sockeye):
    with udp() as sock:
        port = sock.getsockname()[1]
    result = run_sockeye("connect", f"udp:127.0.0.1:{port}", stdin="anybody?\n")
    assert result.status == 4
    assert result.err.splitlines()[0] == f"sockeye: connect: udp:127.0.0.1:{port}: connection refused"


# ---- inherited sockets ----

@pytest.mark.parametrize("words", [("echo", "{}"), ("listen", "{}"), ("connect", "{}"), ("relay", "{}", "exec:cat"),
                                   ("relay", "exec:cat", "{}")], ids=" ".join)
def test_an_inherited_socket_that_is_not_connected(run_sockeye, words):
    with udp() as sock:
        endpoint = f"fd:{sock.fileno()}"
        result = run_sockeye(*(word.format(endpoint) for word in words), pass_fds=[sock.fileno()])
        assert result.status == 2
        assert result.err == (f"sockeye: {words[0]}: {endpoint}: an inherited socket of datagrams that is not "
                              "connected; name its address, as udp:HOST:PORT\n")


def test_an_inherited_socket_that_is_connected(run_sockeye, engine):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.settimeout(DEADLINE_S)
        ours.send(b"to you")
        result = run_sockeye("connect", "--engine", engine, f"fd:{theirs.fileno()}", "--send", "to me",
                             "--eof=wait=200ms", pass_fds=[theirs.fileno()])
        assert (result.status, result.out, ours.recv(10)) == (0, b"to you", b"to me")


# ---- relay ----

def test_relay_udp_to_tcp(start_sockeye, peers, engine):
    echo = start_sockeye("echo", "tcp:127.0.0.1:0").listening()
    relay = start_sockeye("relay", "--engine", engine, "udp:127.0.0.1:0", f"tcp:{echo.text}")
    port = relay.listening().port
    some = [client(peers, name, "127.0.0.1", port) for name in ("nc", "ncat", "socat")]
    for turn in range(2):
        for number, peer in enumerate(some):
            talk(peer, f"{turn} of {number}\n")
    relay.wait_events(3, "connected", side="from")


def test_relay_tcp_to_udp(start_sockeye, peers, engine):
    echo = start_sockeye("echo", "udp:127.0.0.1:0").listening()
    relay = start_sockeye("relay", "--engine", engine, "tcp:127.0.0.1:0", f"udp:{echo.text}")
    nc = peers.client("nc", relay.listening())
    talk(nc, "Hello World\n")
    talk(nc, "and again\n")
    nc.close_stdin()
    assert nc.wait() == 0
    assert relay.wait_event("closed")["reason"] == "end"


def test_relay_udp_to_udp(start_sockeye, engine):
    echo = start_sockeye("echo", "udp:127.0.0.1:0").listening()
    relay = start_sockeye("relay", "--engine", engine, "udp:[::1]:0,idle=200ms", f"udp:{echo.text}")
    port = relay.listening().port
    with udp("::1") as one, udp("::1") as two:
        for size in (1, 0, 65507):
            for sock in (one, two):
                data = os.urandom(size)
                sock.sendto(data, ("::1", port))
                assert sock.recv(65536) == data
    for closed in relay.wait_events(2, "closed"):  # by their silence
        assert closed["reason"] == "idle" and closed["bytes"] == [65508, 65508]


# ---- row 14: the sender ----

def test_send(run_sockeye, peers):
    nc, port = nc_listen(peers)
    began = time.monotonic()
    result = run_sockeye("connect", f"udp:127.0.0.1:{port}", "--send", "Hello {n}\\n", "--every", "100ms",
                         "--count", "3", "--eof", "close")
    assert (result.status, result.out, result.err) == (0, b"", "")
    assert time.monotonic() - began >= 0.2
    nc.wait_stdout("Hello 1\nHello 2\nHello 3\n")


def test_send_each_is_one_datagram(start_sockeye):
    with udp() as sock:
        ours = start_sockeye("connect", "udp:127.0.0.1:%d" % sock.getsockname()[1],
                             "--send", r"{n}: {time}\t\x00\xfF\\" + "\u00e9", "--every", "20ms")
        for n in (1, 2, 3):
            data, peer = sock.recvfrom(100)
            match = re.fullmatch(b"%d: (\\d+\\.\\d\\d)\t\0\xff\\\\\xc3\xa9" % n, data)
            assert match and abs(float(match[1]) - time.time()) < DEADLINE_S, data
        sock.sendto(b"I hear you\n", peer)
        ours.wait_stdout("I hear you\n")
        assert ours.stop() == 128 + signal.SIGTERM
        assert ours.wait_event("closed")["reason"] == "end"


def test_send_over_a_stream(start_sockeye, run_sockeye):
    """Its answer is awaited as that to standard input is."""
    echo = start_sockeye("echo", "tcp:127.0.0.1:0").listening()
    result = run_sockeye("connect", echo.text, "--send", "{n}\\n", "--count", "1000")
    assert (result.status, result.err) == (0, "")
    assert result.out == b"".join(b"%d\n" % n for n in range(1, 1001))


def test_send_with_crlf_and_a_trace(run_sockeye, start_sockeye, tmp_path):
    """An LF that has no CR gets one, and the trace shows both ways, each from its beginning."""
    echo = start_sockeye("echo", "tcp:127.0.0.1:0").listening()
    result = run_sockeye("connect", echo.text, "--send", "{n}\n\r\n\n", "--count", "2", "--crlf",
                         f"--trace={tmp_path}/trace")
    assert (result.status, result.err) == (0, "")
    assert result.out == b"1\r\n\r\n\r\n2\r\n\r\n\r\n"
    dumped = (tmp_path / "trace").read_text()
    assert re.search(r"> .*from the first end, 7 bytes\n00000000  31 0d 0a 0d 0a 0d 0a ", dumped)
    assert re.search(r"> .*from the first end, 7 bytes\n00000007  32 0d 0a ", dumped)
    assert re.search(r"< .*from the second end, \d+ bytes\n00000000  31 0d 0a ", dumped)


def test_send_is_idle(run_sockeye):
    with udp() as sock:
        port = sock.getsockname()[1]
        result = run_sockeye("connect", f"udp:127.0.0.1:{port},idle=200ms", "--send", "x", "--every", "1m")
        assert result.status == 124 and "idle=" in result.err
        result = run_sockeye("connect", f"udp:127.0.0.1:{port},idle=1m", "--send", "x", "--every", "50ms",
                             "--count", "3", "--eof", "close")
        assert result.status == 0


def test_send_to_nobody(run_sockeye):
    with udp() as sock:
        port = sock.getsockname()[1]
    result = run_sockeye("connect", f"udp:127.0.0.1:{port}", "--send", "x")
    assert result.status == 4
    assert result.err == (f"sockeye: connect: udp:127.0.0.1:{port}: connection refused\n"
                          "  likely cause: nothing listens there\n")
    assert run_sockeye("connect", f"tcp:127.0.0.1:{port}", "--send", "x").status == 4


def test_send_and_a_reader_that_is_gone(start_sockeye):
    echo = start_sockeye("echo", "udp:127.0.0.1:0").listening()
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        ours = start_sockeye("connect", f"udp:{echo.text}", "--send", "x", "--every", "10ms",
                             stdout=write_end)
    finally:
        os.close(write_end)
    assert ours.wait() == 7
    assert "standard output: broken pipe" in ours.stderr.lower()


@pytest.mark.parametrize("args", [
    ("--send", "{nobody}"), ("--send", "{"), ("--send", "a\\q"), ("--send", "\\x4"), ("--send", "\\"),
    ("--send", "x", "--count", "0"), ("--send", "x", "--count", "many"), ("--send", "x", "--every", "5"),
    ("--every", "5s"), ("--count", "2"), ("--send", "x", "--check"),
], ids=" ".join)
def test_send_wrong_usage(run_sockeye, args):
    result = run_sockeye("connect", "udp:127.0.0.1:9", *args)
    assert result.status == 2 and result.out == b"" and result.err.startswith("sockeye: connect: ")


# ---- row 15, between two test hosts ----

def test_broadcast_is_asked_for(start_sockeye, netns):
    a, _ = netns
    ours = start_sockeye("connect", "udp:198.51.100.255:5566", "--send", "x", prefix=a.enter)
    assert ours.wait() == 4
    assert "needs the option broadcast" in ours.stderr


@pytest.mark.parametrize("address", ["198.51.100.255", "255.255.255.255"])
def test_broadcast_to_another_host(start, start_sockeye, netns, address):
    a, b = netns
    socat = start(*b.enter, peers_module.tool("socat"), "-u", "UDP4-RECV:0", "-")
    listener = start_sockeye("listen", "udp:0.0.0.0:0", prefix=b.enter)
    for receiver, port in ((socat, udp_port(socat.pid)), (listener, listener.listening().port)):
        sender = start_sockeye("connect", f"udp:{address}:{port},broadcast,bind={a.ip4}",
                               "--send", "{n} at {time}\\n", "--every", "50ms", prefix=a.enter)
        receiver.wait_stdout(r"(?s)1 at \d+\.\d\d\n2 at .*\n3 at .*\n")
        assert sender.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize("listens", ["udp:[::]:0", "udp:0.0.0.0:0"])
def test_answers_from_the_right_address(netns, start, start_sockeye, listens):
    """A server on every address, its host with two of them: the answer to a mapped sender comes from the address
    that it used, and that to a broadcast from an address of the interface."""
    a, b = netns
    second = "198.51.100.22"
    subprocess.run([*b.enter, "ip", "address", "add", f"{second}/24", "dev", b.interface], check=True)
    port = start_sockeye("echo", listens, prefix=b.enter).listening().port
    for address, answers in ((second, second), (b.ip4, b.ip4), ("198.51.100.255", b.ip4),
                             ("255.255.255.255", b.ip4)):
        asked = start(*a.enter, sys.executable, "-c", ASK, a.ip4, address, str(port))
        assert asked.wait() == 0, asked
        assert asked.stdout.decode().split() == [answers, str(port)]


@pytest.mark.parametrize("group, listens", [
    ("239.1.2.3", "udp:0.0.0.0:0"), ("[ff02::1234]", "udp:[::]:0"), ("[ff15::1234]", "udp:[::]:0")])
def test_multicast_to_another_host(start_sockeye, netns, group, listens):
    a, b = netns
    listener = start_sockeye("listen", f"{listens},join={group.strip('[]')},device={b.interface}",
                             prefix=b.enter)
    port = listener.listening().port
    sender = start_sockeye("connect", f"udp:{group}:{port},device={a.interface},ttl=2",
                           "--send", "{n}\\n", "--every", "50ms", prefix=a.enter)
    listener.wait_stdout(r"\A(\d+)\n\d+\n\d+\n")
    assert sender.running()
    first, second = (int(n) for n in listener.stdout.split()[:2])
    assert second == first + 1


@pytest.mark.parametrize("host, level, ask, kind", [
    ("127.0.0.1", socket.IPPROTO_IP, IP_RECVTTL, socket.IP_TTL),
    ("::1", socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, socket.IPV6_HOPLIMIT)])
def test_ttl(run_sockeye, host, level, ask, kind):
    with udp(host) as sock:
        sock.setsockopt(level, ask, 1)
        where = f"[{host}]" if ":" in host else host
        result = run_sockeye("connect", f"udp:{where}:{sock.getsockname()[1]},ttl=7", "--send", "x",
                             "--eof", "close")
        assert result.status == 0
        data, control, _, _ = sock.recvmsg(10, 100)
    assert data == b"x"
    assert [(level_, kind_, int.from_bytes(value, "little")) for level_, kind_, value in control] == [
        (level, kind, 7)]
