"""Every call that a relay, an upload, a download, a command, a copy and a transfer make fails in its turn, as
the kernel could make it fail: errors, short transfers, signals in between, no memory, a full disk.

Whatever happens, the outcome is the right bytes with status 0, or another status with a line that says
why: no hang, no silence, no crash, and no wrong bytes with status 0. What came before a failure is the
beginning of the right bytes. The calls are made to fail by a library that is preloaded, see fault.c.
"""

import collections
import contextlib
import errno
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from peers import listen_tcp, payload
from processes import DEADLINE_S, eventually, shell_status

pytestmark = [pytest.mark.faults, pytest.mark.not_sanitized]

THERE, BACK = payload(150_000, 1), payload(120_000, 2)
LINES = b"".join(THERE[at:at + 32].hex().encode() + b"\n" for at in range(0, 2000, 32))  # for a terminal
SAMPLES = 4  # where a run takes long: so many of the times that a call is made fail

# What each call can fail with, by what it is for. "short": it moves one byte.
FAULTS = {
    "bytes": {
        "recv": ("short", "EINTR", "EAGAIN", "ENOMEM", "ECONNRESET"),
        "send": ("short", "EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPIPE"),
        "read": ("short", "EINTR", "EAGAIN", "EIO"),
        "write": ("short", "EINTR", "EAGAIN", "EIO", "ENOSPC", "EPIPE"),
        "splice": ("short", "EINTR", "EAGAIN", "EINVAL", "ENOMEM", "EIO", "ENOSPC"),
    },
    "datagrams": {
        "recvmsg": ("EINTR", "EAGAIN", "ENOMEM", "EHOSTUNREACH"),
        "recvmmsg": ("short", "EINTR", "EAGAIN", "ENOMEM", "EHOSTUNREACH"),
        "sendmsg": ("EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPERM"),
        "sendmmsg": ("short", "EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPERM"),
    },
    "descriptors": {
        "open": ("EMFILE", "ENFILE", "ENOMEM"),
        "dup": ("EMFILE",),
        "dup3": ("EMFILE", "EBUSY"),
        "close": ("EIO", "EINTR"),
        "pipe2": ("EMFILE", "ENFILE"),
        "pipe size": ("EPERM",),
        "eventfd": ("EMFILE", "ENOMEM"),
        "socketpair": ("EMFILE", "ENFILE"),
        "posix_spawn": ("EAGAIN", "ENOMEM"),
        "pthread_create": ("EAGAIN",),
        "waitid": ("EINTR",),
    },
    "sockets": {
        "socket": ("EMFILE", "ENOBUFS", "ENOMEM", "EAFNOSUPPORT"),
        "accept4": ("EINTR", "EAGAIN", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"),
        "connect": ("ECONNREFUSED", "ETIMEDOUT", "EADDRNOTAVAIL", "ENETUNREACH", "EAGAIN"),
        "bind": ("EADDRINUSE", "EACCES"),
        "listen": ("EADDRINUSE",),
        "setsockopt": ("ENOBUFS",),
        "getsockname": ("ENOBUFS",),
        "getpeername": ("ENOTCONN",),
        "shutdown": ("ENOBUFS",),
    },
    "waiting": {
        "epoll_create1": ("EMFILE", "ENOMEM"),
        "epoll_ctl": ("ENOMEM", "ENOSPC"),
        "epoll_wait": ("EINTR",),
        "poll": ("EINTR", "ENOMEM"),
        "select": ("EINTR", "ENOMEM"),
    },
    "files": {
        "pread": ("short", "EINTR", "EIO"),
        "pwrite": ("short", "EINTR", "EIO", "ENOSPC", "EDQUOT"),
        "sendfile": ("short", "EINTR", "EAGAIN", "EINVAL", "EIO", "ENOMEM"),
        "copy_file_range": ("short", "EINTR", "EXDEV", "EIO", "ENOSPC", "EDQUOT"),
        "ftruncate": ("EIO", "ENOSPC", "EFBIG"),
        "fsync": ("EIO", "ENOSPC", "EDQUOT"),
        "syncfs": ("EIO",),
        "renameat2": ("EIO", "ENOSPC", "EDQUOT"),
    },
    "memory": {
        "malloc": ("ENOMEM",),
        "calloc": ("ENOMEM",),
        "realloc": ("ENOMEM",),
    },
}

Outcome = collections.namedtuple("Outcome", "status err got want")
Outcome.__doc__ = "What came of a run: got and want are the bytes that each receiver had, and should have."


def library():
    path = os.path.join(os.environ.get("SOCKEYE_BUILD", ""), "tests", "faults", "libfault.so")
    if not os.path.exists(path):
        pytest.skip("the library to preload was not built: see SOCKEYE_BUILD")
    return path


# ---- one run of each kind ----

class Run:
    """A sockeye with the library preloaded, and the peers that the scenario gives it."""

    def __init__(self, sockeye, tmp_path, variables):
        self.sockeye = sockeye
        self.tmp_path = tmp_path
        self.env = dict(os.environ, LC_ALL="C.UTF-8", LD_PRELOAD=library(), **variables)
        self.got = {}
        self._said = tmp_path / "said"
        self._threads = []
        self._sockets = []

    def held(self, sock):
        sock.settimeout(DEADLINE_S)
        self._sockets.append(sock)
        return sock

    def start(self, *words, **options):
        with self._said.open("wb") as stderr:
            self.child = subprocess.Popen([self.sockeye, *words], env=self.env, stderr=stderr,
                                          start_new_session=True, **options)

    def told(self):
        return self._said.read_text(errors="replace")

    def said(self):
        """Its lines on standard error, but for the one that says where it listens."""
        return [line for line in self.told().splitlines() if "listening on" not in line]

    def aside(self, work):
        """Runs a peer's part; that its connection fails is no fault of the test."""
        def run():
            with contextlib.suppress(OSError):
                work()
        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        return thread

    def converse(self, name, sock, data):
        """A peer sends all of data and ends, and takes what comes; name is for what it gets."""
        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        def take():
            pieces = self.got.setdefault(name, [])
            while piece := sock.recv(65536):
                pieces.append(piece)
        self.aside(send)
        return self.aside(take)

    def accept(self, name, listener, data):
        def run():
            sock, _ = listener.accept()
            self.converse(name, self.held(sock), data)
        self.aside(run)

    def _status(self, client):
        """Its exit status. A server may have lost its client, tell so, and wait for another: then it is
        told to end."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return shell_status(self.child.wait(0.2))
            if client and not client.is_alive() and self.said():
                self.child.terminate()
        self.child.kill()
        self.child.wait()
        return "hangs"

    def end(self, want, client=None):
        """Waits for its end; client is the peer's part without which a server waits for another."""
        status = self._status(client)
        for sock in self._sockets:  # wakes whoever still waits for what never came
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.shutdown(socket.SHUT_RDWR)
            elif sock.type == socket.SOCK_DGRAM:
                sock.sendto(b"", sock.getsockname())
        for thread in self._threads:  # to which an accepted connection adds
            thread.join()
        for sock in self._sockets:
            if sock.type == socket.SOCK_DGRAM and sock.family == socket.AF_UNIX:
                os.unlink(sock.getsockname())
            sock.close()
        got = [b"".join(self.got.get(name, [])) for name in want]
        return Outcome(status, "\n".join(self.said()), got, list(want.values()))


def listening(run):
    return run.held(listen_tcp())


def at(listener):
    return "tcp:127.0.0.1:%d" % listener.getsockname()[1]


def relay(run, *options):
    """Between a peer of a socket that was inherited, so that it can come before there is a server, and a
    server."""
    front, back = listen_tcp(), listening(run)
    client = run.held(socket.create_connection(front.getsockname()))
    run.accept("server", back, BACK)
    run.start("relay", "--once", *options, f"fd:{front.fileno()}", at(back), pass_fds=[front.fileno()])
    front.close()
    taking = run.converse("client", client, THERE)
    return run.end({"server": THERE, "client": BACK}, taking)


def upload(run, *options, name="127.0.0.1"):
    server = listening(run)
    source = run.tmp_path / "source"
    source.write_bytes(THERE)
    run.accept("server", server, b"")
    with source.open("rb") as stdin:
        run.start("connect", *options, at(server).replace("127.0.0.1", name), stdin=stdin, stdout=subprocess.DEVNULL)
    return run.end({"server": THERE})


def download(run, *options):
    path, copy = run.tmp_path / "s", run.tmp_path / "copy"
    with copy.open("wb") as stdout:
        run.start("listen", *options, f"unix:{path},rcvbuf=64k", stdin=subprocess.DEVNULL, stdout=stdout)
    sock = run.held(socket.socket(socket.AF_UNIX))

    def listens():
        """Connects, or sees that there is nothing to connect to and never will be."""
        try:
            sock.connect(str(path))
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return run.child.poll() is not None
    eventually(listens, "a server, or its end")
    taking = run.converse("client", sock, BACK)
    outcome = run.end({"client": b""}, taking)
    return outcome._replace(got=[*outcome.got, copy.read_bytes()], want=[*outcome.want, BACK])


def command(run, *options, kind="exec", data=THERE):
    """A file through a command into a file."""
    source, copy = run.tmp_path / "source", run.tmp_path / "copy"
    source.write_bytes(data)
    with source.open("rb") as stdin, copy.open("wb") as stdout:
        run.start("connect", *options, f"{kind}:cat", stdin=stdin, stdout=stdout)
    outcome = run.end({})
    return outcome._replace(got=[copy.read_bytes()], want=[data])


WORD, WORDS = THERE[:200].hex(), 12


def datagram_socket(run, scheme, name):
    sock = run.held(socket.socket(socket.AF_INET if scheme == "udp" else socket.AF_UNIX, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0) if scheme == "udp" else str(run.tmp_path / name))
    return sock


def datagrams(run, *options, scheme="udp"):
    """Some that are sent, each of which the peer answers by another."""
    peer = datagram_socket(run, scheme, "peer")
    name = peer.getsockname()
    to = f"udp:127.0.0.1:{name[1]}" if scheme == "udp" else f"unix:{name},type=dgram"
    pieces = run.got.setdefault("peer", [])

    def answer():
        while (piece := peer.recvfrom(65536))[0]:
            pieces.append(piece[0])
            peer.sendto(piece[0].lower(), piece[1])
    run.aside(answer)
    copy = run.tmp_path / "copy"
    with copy.open("wb") as stdout:
        run.start("connect", *options, "--send", WORD.upper(), "--every", "1ms", "--count", str(WORDS),
                  "--eof=wait=200ms", to, stdout=stdout)
    outcome = run.end({"peer": WORD.upper().encode() * WORDS})
    return outcome._replace(got=[*outcome.got, copy.read_bytes()], want=[*outcome.want, WORD.encode() * WORDS])


def serve_datagrams(run, scheme, command, *words, option=""):
    """Starts a server, and returns the address of its socket, or None where it does not say where it listens."""
    front = run.tmp_path / "front"
    front.unlink(missing_ok=True)
    run.start(command, *words[:-1], f"udp:127.0.0.1:0{option}" if scheme == "udp"
              else f"unix:{front},type=dgram{option}", *words[-1])
    eventually(lambda: run.child.poll() is not None or "listening on" in run.told(), "a server, or its end")
    if scheme == "unix":
        return str(front)
    port = re.search(r"listening on udp:127\.0\.0\.1:(\d+)", run.told())
    return ("127.0.0.1", int(port[1])) if port else None


def unknown(run):
    """A server that nobody can come to, for it cannot tell its port."""
    run.child.terminate()
    outcome = run.end({})
    return outcome._replace(status=0) if outcome.status == 128 + signal.SIGTERM else outcome


def senders(run, *options, scheme="udp"):
    """A server of datagrams, each of whose senders is a stream, which ends when the sender falls silent."""
    back = listening(run)
    run.accept("server", back, WORD.encode())
    to = serve_datagrams(run, scheme, "relay", "--once", *options, [at(back)], option=",idle=300ms")
    client = datagram_socket(run, scheme, "client")
    client.settimeout(2)

    def converse():
        for _ in range(WORDS):
            client.sendto(WORD.encode(), to)
        run.got["client"] = [client.recv(65536)]
    if not to:
        return unknown(run)
    outcome = run.end({"server": WORD.encode() * WORDS, "client": WORD.encode()}, run.aside(converse))
    idle = outcome.status == 124 and "idle" in outcome.err and len(outcome.err.splitlines()) == 1
    return outcome._replace(status=0) if idle else outcome


def echoed(run, *options):
    """Datagrams in a burst; for what is not answered the client asks again."""
    to = serve_datagrams(run, "udp", "echo", *options, [])
    client = datagram_socket(run, "udp", "client")
    client.settimeout(0.2)
    answers, questions = set(), {b"%d" % number for number in range(WORDS)}
    if not to:
        return unknown(run)
    for _ in range(10):
        with contextlib.suppress(OSError):
            for question in questions - answers:
                client.sendto(question, to)
            while answers < questions:
                answers.add(client.recv(65536))
    run.child.terminate()
    run.got["client"] = sorted(answers)
    outcome = run.end({"client": b"".join(sorted(questions))})
    served = outcome.status == 128 + signal.SIGTERM and answers == questions
    return outcome._replace(status=0) if served else outcome


def threads(run, *options):
    """A server on several threads, each of which may meet the fault."""
    run.start("echo", "--threads", "2", *options, "tcp:127.0.0.1:0")
    eventually(lambda: run.child.poll() is not None or "listening on" in run.told(), "a server, or its end")
    port = re.search(r"listening on tcp:127\.0\.0\.1:(\d+)", run.told())
    if not port:
        return unknown(run)
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        client = run.held(socket.create_connection(("127.0.0.1", int(port[1])), DEADLINE_S))
        run.converse("client", client, THERE).join()
    run.child.terminate()
    outcome = run.end({"client": THERE})
    served = outcome.status == 128 + signal.SIGTERM and outcome.got == outcome.want
    return outcome._replace(status=0) if served else outcome


def standing(folder, names, others=()):
    """What stands under these names, where that is all of them. There may be nothing but whole files, and
    nothing beside them, or it is words that are no beginning of the right bytes."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    left = [name for name in found if name not in {*names, *others}]
    half = [name for name, data in names.items() if found.get(name, b"") not in (b"", data)]
    if left or half:
        return f"left over: {left}, neither old nor new: {half}".encode()
    return b"".join(names.values()) if all(found.get(name) for name in names) else b""


def copy(run, *options):
    source, folder = run.tmp_path / "source", run.tmp_path / "to"
    source.write_bytes(THERE)
    folder.mkdir(exist_ok=True)
    (folder / "copy").write_bytes(b"")
    run.start("copy", *options, source, folder / "copy")
    return run.end({})._replace(got=[standing(folder, {"copy": THERE})], want=[THERE])


LARGE = payload((1 << 20) + 5000, 3)
FILES = {"large": LARGE, "small": BACK[:100], "smaller": BACK[:10]}


def transfer(run, *options, faulty):
    """A file that is sent by frames and two that go with others, where one of the sides meets the fault."""
    folder, path = run.tmp_path / "to", run.tmp_path / "s"
    shutil.rmtree(folder, ignore_errors=True)
    path.unlink(missing_ok=True)
    folder.mkdir()
    for name, data in FILES.items():
        (run.tmp_path / name).write_bytes(data)
    sides = {"recv": ("recv", *options, path, folder),
             "send": ("send", *options, *(run.tmp_path / name for name in FILES), path)}
    other = next(side for side in sides if side != faulty)
    with subprocess.Popen([run.sockeye, *sides[other], "--listen"], stderr=subprocess.PIPE) as plain:
        assert b"listening on" in plain.stderr.readline()
        run.start(*sides[faulty])
        outcome = run.end({})
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))  # where nobody came it still waits
        plain.communicate(timeout=DEADLINE_S)
    got, want = standing(folder, FILES, others=[".large.sockeye-part"]), b"".join(FILES.values())
    if plain.returncode == 0 and got != want:
        got = f"{other} ends with 0".encode()
    return outcome._replace(got=[got], want=[want])


COPIED = "--trace=/dev/null"  # which has to see the bytes, so that the kernel alone does not move them
EPOLL = "--engine=epoll"  # whose calls are the C library's; a ring's fail by the seam, in the unit tests
SCENARIOS = {
    "relay": (relay, EPOLL),
    "relay-copied": (relay, EPOLL, COPIED),
    "relay-poll": (relay, "--engine=poll"),
    "relay-select": (relay, "--engine=select"),
    "relay-ring": (relay, "--engine=io_uring"),  # what is not asked of the ring
    "upload": (upload, EPOLL),
    "upload-copied": (upload, EPOLL, COPIED),
    "upload-to-a-name": (functools.partial(upload, name="localhost"), EPOLL),
    "download": (download, EPOLL),
    "download-copied": (download, EPOLL, COPIED),
    "command": (command, EPOLL),
    "pipes": (functools.partial(command, kind="exec,pipes"), EPOLL),
    "terminal": (functools.partial(command, kind="exec,pty", data=LINES), EPOLL),
    "datagrams": (datagrams, EPOLL),
    "datagrams-unix": (functools.partial(datagrams, scheme="unix"), EPOLL),
    "senders": (senders, EPOLL),
    "senders-unix": (functools.partial(senders, scheme="unix"), EPOLL),
    "echoed": (echoed, EPOLL),
    "threads": (threads, EPOLL),
    "copy": (copy,),
    "send": (functools.partial(transfer, faulty="send"), EPOLL),
    "recv": (functools.partial(transfer, faulty="recv"), EPOLL),
}
TRANSFERS = ("send", "recv")  # two processes each time
DATAGRAMS = ("datagrams", "datagrams-unix", "senders", "senders-unix", "echoed")  # with a silence each time
# Where there is no room for it, a datagram over UDP is lost. Of files what the others have not; glibc's
# fts_open(3), with which a sender looks at its files, crashes by itself where there is no memory, and so does
# getaddrinfo(3).
GROUPS = dict.fromkeys(DATAGRAMS, ("datagrams", "sockets"))
GROUPS |= dict.fromkeys(("copy", *TRANSFERS), ("files",))
GROUPS["threads"] = ("sockets", "waiting", "memory")
GROUPS["upload-to-a-name"] = ("descriptors", "sockets", "waiting")
CASES = [(scenario, group) for scenario in SCENARIOS
         for group in GROUPS.get(scenario, [group for group in FAULTS if group != "datagrams"])]
CASES += [(scenario, "memory") for scenario in ("copy", "recv", "datagrams", "senders-unix", "echoed")]


def play(scenario, sockeye, tmp_path, variables):
    work, *options = SCENARIOS[scenario]
    return work(Run(sockeye, tmp_path, variables), *options)


# ---- what may come of it ----

def wrong(outcome):
    """What is wrong with an outcome, or None."""
    if outcome.status == "hangs":
        return "it hangs"
    if outcome.status >= 128 and outcome.status != 128 + signal.SIGTERM:
        return f"it ends by signal {outcome.status - 128}"
    for got, want in zip(outcome.got, outcome.want):
        if not want.startswith(got):
            return f"wrong bytes: {len(got)} for {len(want)}"
    if outcome.status != 0 and not re.search("^sockeye: ", outcome.err, re.MULTILINE):
        return f"status {outcome.status}, and not a word"
    if outcome.status == 0 and outcome.got != outcome.want:
        return f"status 0, and {[len(got) for got in outcome.got]} bytes"
    return None


def counts_of(sockeye, tmp_path, scenario):
    """How often each call is made where none fails."""
    counts = tmp_path / "counts"
    outcome = play(scenario, sockeye, tmp_path, {"EYE_FAULT_COUNTS": str(counts)})
    assert wrong(outcome) is None and outcome.status == 0, outcome
    lines = counts.read_text(encoding="ascii").splitlines()
    return {name: int(count) for name, count in (line.rsplit(" ", 1) for line in lines)}


def numbers(count, scenario):
    """Which of so many calls fail: all; where a run takes long, as many of the first as of the rest, evenly."""
    if count <= SAMPLES or scenario not in TRANSFERS + DATAGRAMS:
        return range(1, count + 1)
    half = SAMPLES // 2
    step = (count - half) / half
    return [*range(1, half + 1), *(half + round(step * i) for i in range(1, half + 1))]


@pytest.mark.parametrize("scenario, group", CASES)
def test_each_call_fails_in_its_turn(sockeye, needs, tmp_path, scenario, group):
    if scenario == "relay-ring":
        needs("engine", "io_uring")
    counts = counts_of(sockeye, tmp_path, scenario)
    found = []
    for call, errors in FAULTS[group].items():
        for number in numbers(counts.get(call, 0), scenario):
            for error in errors:
                code = error if error == "short" else getattr(errno, error)
                outcome = play(scenario, sockeye, tmp_path, {"EYE_FAULT": f"{call}:{number}:{code}"})
                if said := wrong(outcome):
                    found.append(f"{call}:{number}:{error}: {said}\n    {outcome.err}")
                assert len(found) < 5, "\n".join(found)
    assert not found, "\n".join(found)


def test_every_call_is_made_by_one_of_them(sockeye, tmp_path):
    made = set().union(*(counts_of(sockeye, tmp_path, scenario)
                         for scenario in SCENARIOS if scenario != "relay-ring"))
    assert {call for calls in FAULTS.values() for call in calls} == made


def test_a_fault_is_met(sockeye, tmp_path):
    """The library does what it says, or all of the above would mean nothing."""
    for call, number, code, status in (("splice", 2, errno.EIO, 1), ("connect", 1, errno.ECONNREFUSED, 4)):
        outcome = play("upload", sockeye, tmp_path, {"EYE_FAULT": f"{call}:{number}:{code}"})
        assert (outcome.status, wrong(outcome)) == (status, None), call
    outcome = play("upload", sockeye, tmp_path, {})
    assert (outcome.status, outcome.got) == (0, [THERE])
