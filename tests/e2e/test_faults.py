"""What goes wrong around a server: full tables, storms, stuck and slow peers, crowds, no ports left."""

import contextlib
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from peers import connect, digest, listen_tcp, payload, receive_all, receive_exactly
from processes import DEADLINE_S, eventually, never

pytestmark = pytest.mark.faults
MIB = 1 << 20
KIB = 1 << 10


def answered(sock, line=b"there?\n"):
    sock.sendall(line)
    return receive_exactly(sock, len(line)) == line


def answered_within(sock, seconds):
    began = time.monotonic()
    return answered(sock) and time.monotonic() - began < seconds


@pytest.fixture
def socks():
    """A list of sockets that are closed at the end."""
    opened = []
    yield opened
    for sock in opened:
        sock.close()


@pytest.fixture
def serve(start_sockeye, tmp_path):
    """serve(command, *options) starts echo, or a relay to an echo, on 127.0.0.1."""
    def start(command, *options, target="tcp:127.0.0.1:0,backlog=4096", **more):
        to = []
        if command == "relay":
            start_sockeye("echo", f"{tmp_path}/back").listening()
            to = [f"{tmp_path}/back"]
        return start_sockeye(command, *options, target, *to, **more)
    return start


# ---- a full table of descriptors ----

def room_for(engine, count):
    """A limit of descriptors; on the engine thread each peer's loop has three of its own."""
    return count * 4 if engine == "thread" else count


def descriptors(soft, hard=None):
    return ("prlimit", f"--nofile={soft}:{hard or soft}")


@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_full_table_of_descriptors(serve, engine, socks, command):
    """The listener pauses: who is served stays served, who waits is served later, nothing spins."""
    server = serve(command, "--engine", engine, prefix=descriptors(room_for(engine, 40)))
    address = server.listening()
    socks += [connect(address) for _ in range(60)]
    paused = server.wait_event("paused")
    assert "too many open files" in paused["error"] and paused["endpoint"].startswith("tcp:127.0.0.1")
    served = {event["conn"] for event in server.events if event.get("side") == "from"}
    assert 10 < len(served) < 40

    began, cpu = time.monotonic(), server.cpu_seconds()
    while time.monotonic() - began < 2:  # for as long as the limits speak of: a share, a rate
        assert answered_within(socks[0], 1)
        time.sleep(0.05)
    elapsed = time.monotonic() - began
    assert (server.cpu_seconds() - cpu) / elapsed < 0.3
    said = [line for line in server.stderr.splitlines() if "too many open files" in line]
    assert 1 <= len(said) <= 2 + elapsed, server

    for sock in socks[:-10]:
        sock.close()
    for sock in socks[-10:]:
        assert answered(sock)
    assert server.running()


def test_a_full_table_recovers_without_a_push(serve, engine, socks):
    """Room is made by another limit, of which no peer tells the server."""
    server = serve("echo", "--engine", engine, prefix=("prlimit", "--nofile=30:4096"))
    address = server.listening()
    socks += [connect(address) for _ in range(50)]
    server.wait_event("paused")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert answered(socks[-1])


def test_a_connection_that_finds_no_descriptor_for_its_second_end(serve, engine, socks):
    """Accepted, then none left to dial with: that peer is told, the others stay."""
    server = serve("relay", "--engine", engine, prefix=descriptors(room_for(engine, 31)))
    address = server.listening()
    served = []
    for _ in range(40):
        sock = connect(address)
        socks.append(sock)
        with contextlib.suppress(OSError):
            sock.settimeout(0.5)
            if answered(sock):
                served.append(sock)
                continue
        break
    assert 3 < len(served) < 30
    for sock in served:
        assert answered_within(sock, 1)


def test_select_refuses_what_it_cannot_watch(serve, socks, needs):
    """Past FD_SETSIZE peers are turned away with a clear error, and the rest is served."""
    needs("engine", "select")
    server = serve("echo", "--engine", "select", prefix=("prlimit", "--nofile=4096:4096"))
    address = server.listening()
    for _ in range(1100):
        with contextlib.suppress(ConnectionResetError):  # turned away before connect(2) had returned
            socks.append(connect(address))
    server.wait_stderr("select")
    for sock in (socks[0], socks[500], socks[999]):
        assert answered_within(sock, 1)
    turned_away = 0
    for sock in socks[1024:]:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            sock.sendall(b"x")
            if sock.recv(1) == b"x":
                continue
        turned_away += 1
    assert turned_away == len(socks[1024:])
    for sock in socks[1000:]:
        sock.close()
    for sock in socks[:100]:
        sock.close()
    eventually(lambda: len(server.descriptors()) < 950, "room for more")
    late = connect(address)
    socks.append(late)
    assert answered(late)


# ---- signals ----

@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_storm_of_signals(serve, engine, command, tmp_path):
    """Stopped, continued and disturbed a thousand times in the middle of a transfer: the right bytes."""
    server = serve(command, "--engine", engine)
    data = payload(24 * MIB)
    stop = threading.Event()

    def storm():
        while not stop.is_set():
            for signum in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGURG, signal.SIGSTOP, signal.SIGCONT):
                os.kill(server.pid, signum)
        os.kill(server.pid, signal.SIGCONT)

    with connect(server.listening()) as sock:
        threads = [threading.Thread(target=storm),
                   threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))]
        for thread in threads:
            thread.start()
        try:
            answer = receive_all(sock)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert digest(answer) == digest(data)
    assert server.wait_event("closed")["bytes"] == [len(data), len(data)]


def test_signals_disturb_no_transfer_of_files(start_sockeye, start, tmp_path):
    """The same for connect between two files, whose reads and writes never wait."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(payload(24 * MIB))
    echo = start_sockeye("echo", "127.0.0.1:0")
    with source.open("rb") as stdin, copy.open("wb") as stdout:
        client = start_sockeye("connect", echo.listening().text, stdin=stdin, stdout=stdout)
        while client.running():
            client.kill(signal.SIGSTOP)
            client.kill(signal.SIGCONT)
    assert client.wait() == 0
    assert digest(copy) == digest(source)


def test_sigpipe_kills_nobody(serve, engine):
    server = serve("echo", "--engine", engine)
    address = server.listening()
    for _ in range(50):
        with connect(address) as sock:
            sock.sendall(bytes(100_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.kill(signal.SIGPIPE)
    with connect(address) as sock:
        assert answered(sock)
    all_gone(server)


# ---- peers that do not read, or crawl ----

@pytest.mark.not_sanitized
@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_reader_that_stops(serve, engine, socks, command):
    """Its peer's bytes wait in the kernel, not in the server; others are served at once."""
    server = serve(command, "--engine", engine)
    address = server.listening()
    with connect(address) as other:
        assert answered(other)
        before = server.resident_bytes()
        stuck = [connect(address) for _ in range(20)]
        socks += stuck
        for sock in stuck:
            sock.setblocking(False)
        pushed = 0
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.3:  # until nothing more is taken from any of them
            for sock in stuck:
                with contextlib.suppress(BlockingIOError):
                    pushed += sock.send(bytes(MIB))
                    quiet_since = time.monotonic()
        assert pushed > 20 * 100 * KIB
        # At most 256 KiB for each and each way.
        assert server.resident_bytes() - before < 20 * 2 * 256 * KIB
        cpu = server.cpu_seconds()
        assert all(answered_within(other, 1) for _ in range(200))
        assert server.cpu_seconds() - cpu < 1
        for sock in stuck[:10]:  # those that read after all get what they sent
            sock.setblocking(True)
            sock.settimeout(DEADLINE_S)
            sock.shutdown(socket.SHUT_WR)
            answer = receive_all(sock)
            assert answer and not answer.strip(b"\0")


def test_a_stuck_output_stops_the_input(start_sockeye, start):
    """connect to an endless server, with nobody reading standard output."""
    read_end, write_end = os.pipe()
    with listen_tcp() as listener:
        client = start_sockeye("connect", "tcp:{}:{}".format(*listener.getsockname()), stdout=write_end)
        os.close(write_end)
        sock, _ = listener.accept()
        with sock:
            sock.setblocking(False)
            sent, quiet_since = 0, time.monotonic()
            while time.monotonic() - quiet_since < 0.3:
                with contextlib.suppress(BlockingIOError):
                    sent += sock.send(bytes(MIB))
                    quiet_since = time.monotonic()
            cpu, began = client.cpu_seconds(), time.monotonic()
            never(lambda: not client.running(), "the end", 0.5)
            assert client.cpu_seconds() - cpu < 0.3 * (time.monotonic() - began)
            sock.setblocking(True)
            sock.close()
        with os.fdopen(read_end, "rb") as file:
            assert len(file.read()) == sent
        client.close_stdin()
        assert client.wait() == 0


@pytest.mark.parametrize("command", ["echo", "relay"])
def test_a_byte_at_a_time(serve, engine, command):
    server = serve(command, "--engine", engine)
    data = payload(3000)
    with connect(server.listening()) as sock, connect(server.listening()) as other:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        for at in range(len(data)):
            sock.sendall(data[at:at + 1])
            answer += sock.recv(1)
            if at % 500 == 0:
                assert answered_within(other, 1)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"" and answer == data


def test_a_reader_that_crawls(serve, engine):
    """Small windows and small bites: every write of the server is short, and all arrives."""
    server = serve("relay", "--engine", engine, target="tcp:127.0.0.1:0,sndbuf=4096,rcvbuf=4096")
    data = payload(400_000)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(DEADLINE_S)
        sock.connect(server.listening()[:2])
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = b""
        while piece := sock.recv(701):
            answer += piece
        sender.join()
    assert digest(answer) == digest(data)


def test_a_fast_peer_starves_nobody(serve, engine):
    """One peer keeps the server as busy as it can; another is answered all the same."""
    server = serve("relay", "--engine", engine)
    address = server.listening()
    stop = threading.Event()
    with connect(address) as fast, connect(address) as other:
        def drain():
            with contextlib.suppress(OSError):
                while fast.recv(MIB):
                    pass

        def flood():
            block = bytes(MIB)
            while not stop.is_set():
                fast.sendall(block)
            fast.shutdown(socket.SHUT_WR)
        threads = [threading.Thread(target=drain), threading.Thread(target=flood)]
        for thread in threads:
            thread.start()
        try:
            assert all(answered_within(other, 1) for _ in range(100))
        finally:
            stop.set()
            for thread in threads:
                thread.join()


# ---- crowds, too many for the events of each to be kept ----

def raise_descriptors(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, PermissionError):
            pytest.skip(f"{wanted} descriptors are needed, and {hard} are allowed")
    elif soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def all_gone(server):
    eventually(lambda: len(set(server.descriptors().values())) < 20, "the descriptors of all peers closed")


def idle_crowd(server, address, socks, count):
    """Adds count peers of which each has spoken once; returns what one costs, in bytes."""
    def join(number):
        for _ in range(number):
            sock = connect(address)
            socks.append(sock)
            assert answered(sock)
    join(200)
    before = server.resident_bytes()
    join(count - 200)
    return (server.resident_bytes() - before) / (count - 200)


def uses_no_cpu(process):
    before = process.cpu_seconds()
    time.sleep(1)  # a share of a second is what is measured
    return process.cpu_seconds() - before <= 0.02


@pytest.mark.not_sanitized
@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_ten_thousand_idle_peers_of_echo(start_sockeye, needs, socks, scheme, tmp_path):
    needs("engine", "epoll")
    raise_descriptors(10_300)
    target = "tcp:127.0.0.1:0" if scheme == "tcp" else f"unix:{tmp_path}/s"
    echo = start_sockeye("echo", "--engine", "epoll", "--events", "/dev/null", f"{target},backlog=4096",
                         events=False, prefix=("prlimit", "--nofile=10300:10300"))
    port = echo.wait_stderr(r"listening on (\S+) \(epoll\)")[1].decode()
    address = (("127.0.0.1", int(port.rpartition(":")[2])) if scheme == "tcp" else f"{tmp_path}/s")
    each = idle_crowd(echo, address, socks, 10_000)
    assert each <= KIB, f"{each:.0f} bytes for each peer"
    assert uses_no_cpu(echo)
    assert all(answered_within(socks[number], 1) for number in (0, 5000, 9999))


@pytest.mark.not_sanitized
def test_thousands_of_idle_peers_of_a_relay(start_sockeye, needs, socks, tmp_path):
    needs("engine", "epoll")
    raise_descriptors(4300)
    more = {"events": False, "prefix": ("prlimit", "--nofile=8300:8300")}
    echo = start_sockeye("echo", "--engine", "epoll", f"{tmp_path}/back", **more)
    echo.wait_stderr("listening on")
    relay = start_sockeye("relay", "--engine", "epoll", f"unix:{tmp_path}/s,backlog=4096",
                          f"{tmp_path}/back", **more)
    relay.wait_stderr("listening on")
    each = idle_crowd(relay, f"{tmp_path}/s", socks, 4000)
    assert each <= KIB, f"{each:.0f} bytes for each peer"
    assert uses_no_cpu(relay)
    assert all(answered_within(socks[number], 1) for number in (0, 2000, 3999))


def test_a_thousand_peers_on_every_engine(serve, engine, socks):
    """As many as select can watch, coming and going at once."""
    raise_descriptors(1200)
    server = serve("echo", "--engine", engine, prefix=descriptors(room_for(engine, 1200)),
                   target="tcp:127.0.0.1:0,backlog=4096,max=1000")
    address = server.listening()
    for _ in range(2):
        socks += [connect(address) for _ in range(900)]
        for sock in socks:
            sock.sendall(b"hello")
        assert all(receive_exactly(sock, 5) == b"hello" for sock in socks)
        while socks:
            socks.pop().close()
        all_gone(server)


def test_a_crowd_that_only_knocks(serve, engine):
    """Connections that are reset before or while they are accepted."""
    server = serve("echo", "--engine", engine)
    address = server.listening()
    for _ in range(500):
        sock = socket.create_connection(address[:2], DEADLINE_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    with connect(address) as sock:
        assert answered(sock)
    all_gone(server)


# ---- no port left ----

def test_no_free_local_port(start_sockeye, start, netns, engine):
    """Two ports to dial from, both taken: that peer is refused with the reason, the server goes on."""
    a, _ = netns
    limited = start(*a.enter, "sh", "-c", "echo '61000 61001' >/proc/sys/net/ipv4/ip_local_port_range")
    if limited.wait():
        pytest.skip(f"the range of ports cannot be set here: {limited.stderr.strip()}")
    echo = start_sockeye("echo", "tcp:127.0.0.1:7000", prefix=a.enter)
    echo.listening()
    relay = start_sockeye("relay", "--engine", engine, "unix:@eye-ports", "tcp:127.0.0.1:7000",
                          prefix=a.enter)
    relay.listening()
    # The abstract name belongs to the namespace, so the peers are in it too.
    clients = []
    for number in (1, 2):
        client = start_sockeye("connect", "unix:@eye-ports", prefix=a.enter)
        client.send("hello\n")
        client.wait_stdout("hello\n")
        clients.append(client)
    began, cpu = time.monotonic(), relay.cpu_seconds()
    for number in (3, 4, 5):
        start_sockeye("connect", "unix:@eye-ports", prefix=a.enter)
        closed = relay.wait_event("closed", conn=number)
        assert closed["reason"] == "refused"
        assert closed["error"] == "tcp:127.0.0.1:7000: cannot assign requested address"
    time.sleep(max(0, began + 1 - time.monotonic()))  # a share of a second is what is measured
    assert (relay.cpu_seconds() - cpu) / (time.monotonic() - began) < 0.3
    direct = start_sockeye("connect", "tcp:127.0.0.1:7000", prefix=a.enter)
    assert direct.wait() == 4
    assert direct.stderr.splitlines()[0] == (
        "sockeye: connect: tcp:127.0.0.1:7000: cannot assign requested address")
    assert "no free local port" in direct.stderr
    for client in clients:
        client.send("still\n")
        client.wait_stdout("still\n")
    said = [line for line in relay.stderr.splitlines() if re.search("cannot assign", line)]
    assert 1 <= len(said) <= 1 + time.monotonic() - began


def test_the_network_goes_away(start_sockeye, netns, engine):
    """The cable is pulled in the middle of a session and put back: what was sent still arrives."""
    a, b = netns
    echo = start_sockeye("echo", "--engine", engine, f"tcp:{a.ip4}:0", prefix=a.enter)
    client = start_sockeye("connect", f"tcp:{echo.listening().text}", prefix=b.enter)
    client.send("before\n")
    client.wait_stdout("before\n")
    for state in ("down", "up"):
        subprocess.run([*a.enter, "ip", "link", "set", a.interface, state], check=True)
        if state == "down":
            client.send("during\n")
            never(lambda: b"during" in client.stdout, "an answer without a cable")
    client.wait_stdout("during\n")
    client.close_stdin()
    assert client.wait() == 0


# ---- what is lost is told ----

def test_killed_in_the_middle(start_sockeye, engine):
    """SIGKILL of a relay: its peers see a broken stream, never a whole one that is short."""
    with listen_tcp() as listener:
        relay = start_sockeye("relay", "--engine", engine, "127.0.0.1:0",
                              "tcp:{}:{}".format(*listener.getsockname()))
        client = start_sockeye("connect", relay.listening().text)
        server, _ = listener.accept()
        with server:
            server.sendall(b"first part\n")
            client.wait_stdout("first part\n")
            client.send("unread\n")
            assert receive_exactly(server, 7) == b"unread\n"
            relay.kill(signal.SIGKILL)
            relay.wait()
            # Nothing is left unread in the relay, so the kernel sends an orderly end: no program
            # without a length of its own can see this. The client ends, and does not hang.
            client.close_stdin()
            assert client.wait() in (0, 7)
            assert receive_all(server) == b""


@pytest.mark.not_sanitized
def test_memory_that_is_not_to_be_had(serve, engine, socks):
    """Less than all the peers need that do not read what they get: some are ended, the process lives."""
    data = 4_000_000 if engine == "thread" else 1_500_000  # a stack for each
    server = serve("echo", "--engine", engine, prefix=("prlimit", f"--data={data}:{data}"),
                   target="tcp:127.0.0.1:0,backlog=4096,sndbuf=4096")
    address = server.listening()

    def refused():
        with contextlib.suppress(ConnectionResetError):  # ended as soon as it was accepted
            socks.append(connect(address))
            socks[-1].setblocking(False)
        for other in socks:
            with contextlib.suppress(OSError):
                other.send(bytes(MIB))
        return [event for event in server.events
                if any(reason in event.get("error", "")
                       for reason in ("cannot allocate memory", "resource temporarily unavailable"))]
    eventually(refused, "a peer that is ended, or not accepted, for want of memory")
    for sock in socks:
        sock.close()
    all_gone(server)
    with connect(address) as sock:
        assert answered(sock)
    assert server.running()
