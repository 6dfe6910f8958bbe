"""Standard input and output of every kind, and in the state in which they were inherited."""

import contextlib
import fcntl
import os
import pty
import socket
import termios
import threading

import pytest

from peers import digest, listen_tcp, payload, receive_all, reset
from processes import DEADLINE_S, Collector, eventually

MIB = 1 << 20
QUESTION, ANSWER = b"question " * 1000, b"answer " * 1000


@pytest.fixture
def server():
    """A server of one peer: receives until the end, then answers. server.text is its endpoint, and
    server.question() what it was asked."""
    class Server:
        def __init__(self, listener):
            self.listener = listener
            self.text = "tcp:{}:{}".format(*listener.getsockname())
            self.answer = ANSWER
            self.received = None
            self.thread = threading.Thread(target=self.serve)

        def serve(self):
            sock, _ = self.listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.settimeout(DEADLINE_S)
                self.received = receive_all(sock)
                sock.sendall(self.answer)

        def question(self):
            self.thread.join(DEADLINE_S)
            return self.received

    with listen_tcp() as listener:
        served = Server(listener)
        served.thread.start()
        yield served
        with contextlib.suppress(OSError), socket.create_connection(listener.getsockname()):
            pass  # where nobody came
        served.thread.join(DEADLINE_S)


class Ends:
    """Makes standard inputs that give QUESTION and standard outputs that take an answer; each as
    (the descriptor for the child, what is to be checked afterwards, what was written)."""

    def __init__(self, folder):
        self.folder = folder
        self.open_files = []
        self.threads = []

    def keep(self, *fds):
        self.open_files += fds
        return fds

    def feed(self, fd, close):
        def run():
            view = memoryview(QUESTION)
            while view:
                view = view[os.write(fd, view):]
            close(fd)
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def stdin(self, kind):
        if kind == "file":
            (self.folder / "question").write_bytes(QUESTION)
            return self.keep(os.open(self.folder / "question", os.O_RDONLY))[0]
        if kind == "null":
            return self.keep(os.open("/dev/null", os.O_RDONLY))[0]
        if kind == "pipe":
            ours, theirs = os.pipe()
            self.feed(theirs, os.close)
            return self.keep(ours)[0]
        if kind == "fifo":
            os.mkfifo(self.folder / "fifo")
            ours = os.open(self.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
            fcntl.fcntl(ours, fcntl.F_SETFL, 0)
            self.feed(os.open(self.folder / "fifo", os.O_WRONLY), os.close)
            return self.keep(ours)[0]
        assert kind == "socket"
        ours, theirs = socket.socketpair()
        self.keep(ours.detach())
        self.feed(theirs.fileno(), lambda _fd: theirs.close())
        return self.open_files[-1]

    def stdout(self, kind):
        """The descriptor, and a function that gives what came out of it."""
        path = self.folder / "answer"
        if kind in ("file", "append"):
            path.write_bytes(b"before ")
            flags = {"file": os.O_WRONLY, "append": os.O_WRONLY | os.O_APPEND}[kind]
            fd, = self.keep(os.open(path, flags))
            os.lseek(fd, 0, os.SEEK_END if kind == "file" else os.SEEK_SET)
            return fd, lambda: path.read_bytes().removeprefix(b"before ")
        if kind == "null":
            return self.keep(os.open("/dev/null", os.O_WRONLY))[0], lambda: ANSWER
        if kind == "pipe":
            theirs, ours = os.pipe()
            collector = Collector(os.fdopen(theirs, "rb", buffering=0))
        else:
            assert kind == "socket"
            ours_socket, theirs_socket = socket.socketpair()
            ours = ours_socket.detach()
            collector = Collector(theirs_socket.makefile("rb", buffering=0))
            theirs_socket.close()
        self.keep(ours)

        def collected():
            os.close(ours)
            self.open_files.remove(ours)
            assert collector.join(DEADLINE_S)
            return collector.data
        return ours, collected

    def close(self):
        for thread in self.threads:
            thread.join(DEADLINE_S)
        for fd in self.open_files:
            os.close(fd)


@pytest.fixture
def ends(tmp_path):
    made = Ends(tmp_path)
    yield made
    made.close()


def flags_of(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)


@pytest.mark.parametrize("out_kind", ["file", "append", "null", "pipe", "socket"])
@pytest.mark.parametrize("in_kind", ["file", "null", "pipe", "fifo", "socket"])
def test_every_kind_with_every_kind(start_sockeye, server, ends, in_kind, out_kind):
    stdin = ends.stdin(in_kind)
    stdout, written = ends.stdout(out_kind)
    before = flags_of(stdin), flags_of(stdout)
    client = start_sockeye("connect", server.text, stdin=stdin, stdout=stdout)
    client.wait_event("connected")
    during = flags_of(stdin), flags_of(stdout)
    assert client.wait() == 0, client
    assert during == before and (flags_of(stdin), flags_of(stdout)) == before
    assert server.question() == (b"" if in_kind == "null" else QUESTION)
    assert written() == ANSWER
    assert client.wait_event("closed")["bytes"] == [len(server.received), len(ANSWER)]


@pytest.mark.parametrize("out_kind", ["pipe", "socket"])
@pytest.mark.parametrize("in_kind", ["pipe", "fifo", "socket"])
def test_flags_that_others_have_set_stay(start_sockeye, server, ends, in_kind, out_kind):
    """Descriptors that somebody else has made non-blocking are as good, and stay so."""
    stdin = ends.stdin(in_kind)
    stdout, written = ends.stdout(out_kind)
    for fd in (stdin, stdout):
        os.set_blocking(fd, False)
    client = start_sockeye("connect", server.text, stdin=stdin, stdout=stdout)
    assert client.wait() == 0, client
    assert not os.get_blocking(stdin) and not os.get_blocking(stdout)
    assert server.question() == QUESTION and written() == ANSWER


@pytest.mark.parametrize("in_kind", ["file", "pipe", "socket"])
def test_every_engine(start_sockeye, server, ends, engine, in_kind):
    stdout, written = ends.stdout("file" if in_kind == "pipe" else "pipe")
    client = start_sockeye("connect", "--engine", engine, server.text, stdin=ends.stdin(in_kind),
                           stdout=stdout)
    assert client.wait() == 0, client
    assert server.question() == QUESTION and written() == ANSWER


@pytest.mark.parametrize("in_kind, out_kind, path", [
    ("pipe", "pipe", ["splice", "splice"]), ("file", "file", ["splice", "splice"]),
    ("fifo", "pipe", ["splice", "splice"]), ("pipe", "append", ["splice", "copy"]),
    ("socket", "socket", ["copy", "copy"])])
def test_spliced_where_the_kernel_does_it(start_sockeye, server, ends, needs, in_kind, out_kind, path):
    needs("move", "splice")
    stdout, _ = ends.stdout(out_kind)
    client = start_sockeye("connect", server.text, stdin=ends.stdin(in_kind), stdout=stdout)
    assert client.wait() == 0
    assert client.wait_event("closed")["path"] == path


def test_appending_does_not_overwrite(start_sockeye, server, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    with path.open("ab") as stdout, open(os.devnull, "rb") as stdin:
        client = start_sockeye("connect", server.text, stdin=stdin, stdout=stdout)
        assert client.wait() == 0
        stdout.write(b"last\n")
    assert path.read_bytes() == b"first\n" + ANSWER + b"last\n"


def test_a_shared_file_position_moves_on(sockeye, start, server, tmp_path):
    """In (sockeye; cat) < file the second reads on where the first stopped; here at the end."""
    path = tmp_path / "file"
    path.write_bytes(QUESTION)
    with path.open("rb") as stdin:
        shell = start("sh", "-c", f'"{sockeye}" connect {server.text} >/dev/null; cat', stdin=stdin)
        assert shell.wait() == 0
    assert shell.stdout == b"" and server.question() == QUESTION


def test_a_terminal(start_sockeye, server):
    """Both ends of a pseudo-terminal: its end of input is ^D, and its settings are left alone."""
    ours, theirs = pty.openpty()
    settings, flags = termios.tcgetattr(theirs), flags_of(theirs)
    server.answer = b"answer\n"
    collector = Collector(os.fdopen(os.dup(ours), "rb", buffering=0))
    client = start_sockeye("connect", server.text, stdin=theirs, stdout=theirs)
    os.write(ours, b"question\n\x04")
    assert client.wait() == 0
    assert server.question() == b"question\n"
    assert collector.wait_for(lambda data: b"answer\r\n" in data or None, DEADLINE_S), collector.data
    assert flags_of(theirs) == flags and termios.tcgetattr(theirs) == settings
    os.close(theirs)
    assert collector.join(DEADLINE_S)
    os.close(ours)


def test_a_terminal_whose_file_cannot_be_opened(start_sockeye, server):
    """As after su: the descriptor is ours, its file is not. Reopening is refused; it works all the same."""
    ours, theirs = pty.openpty()
    os.fchmod(theirs, 0)
    os.fchown(theirs, 1, 1)
    flags = flags_of(theirs)
    collector = Collector(os.fdopen(os.dup(ours), "rb", buffering=0))
    server.answer = b"answer\n"
    try:
        client = start_sockeye("connect", server.text, stdin=theirs, stdout=theirs,
                               user="nobody" if os.getuid() == 0 else None)
    except PermissionError:
        os.close(ours)
        os.close(theirs)
        collector.join(DEADLINE_S)
        pytest.skip("the command under test lies where another user may not run it")
    os.write(ours, b"question\n\x04")
    assert client.wait() == 0
    assert server.question() == b"question\n"
    assert collector.wait_for(lambda data: b"answer\r\n" in data or None, DEADLINE_S), collector.data
    assert flags_of(theirs) == flags
    os.close(theirs)
    assert collector.join(DEADLINE_S)
    os.close(ours)


# ---- what is closed, full or gone: never a silent loss ----

def shell_words(redirection):
    return ("sh", "-c", f'exec "$@" {redirection}', "sh")


def one_line(process):
    lines = process.stderr.splitlines()
    assert len([line for line in lines if not line.startswith("  ")]) == 1, process
    assert lines[0].startswith("sockeye: connect: "), process
    return lines[0]


def test_closed_standard_input(start_sockeye, server):
    client = start_sockeye("connect", server.text, prefix=shell_words("<&-"))
    assert client.wait() == 1
    assert "bad file descriptor" in one_line(client)
    assert not server.question()  # nothing of ours went out as the payload


def test_closed_standard_output(start_sockeye, server):
    with open(os.devnull, "rb") as stdin:
        client = start_sockeye("connect", server.text, prefix=shell_words(">&-"), stdin=stdin)
    assert client.wait() == 1
    assert "bad file descriptor" in one_line(client)


def test_closed_standard_error(start_sockeye, server):
    """What is said there must not reach a peer instead."""
    with open(os.devnull, "rb") as stdin:
        client = start_sockeye("connect", "-v", server.text, prefix=shell_words("2>&-"), stdin=stdin)
    assert client.wait() == 0
    assert server.question() == b"" and client.stdout == ANSWER


@pytest.mark.parametrize("standing", ["<&-", ">&-", "<&- >&-", "<&- >&- 2>&-", ">&- 2>&-"])
def test_a_server_needs_no_standard_descriptors(start_sockeye, peers, standing):
    echo = start_sockeye("echo", "127.0.0.1:0", prefix=shell_words(standing))
    peer = peers.client("nc", echo.listening())
    peer.send("hello\n")
    peer.wait_stdout("hello\n")
    peer.close_stdin()
    assert peer.wait() == 0 and peer.stdout == b"hello\n"


def test_a_full_disk(start_sockeye, server, engine):
    with open("/dev/full", "wb") as stdout, open(os.devnull, "rb") as stdin:
        client = start_sockeye("connect", "--engine", engine, server.text, stdin=stdin, stdout=stdout)
        assert client.wait() == 1
    assert "no space left on device" in one_line(client)
    assert "standard output" in one_line(client)


def test_a_full_disk_under_a_real_file(start_sockeye, server, ends, tmp_path):
    """As far as a limit of the file's size allows: the kernel then writes a part, and refuses the rest."""
    server.answer = payload(MIB)
    with (tmp_path / "out").open("wb") as stdout:
        client = start_sockeye("connect", server.text, stdin=ends.stdin("null"), stdout=stdout,
                               prefix=("prlimit", "--fsize=100000", "env", "--ignore-signal=XFSZ"))
        assert client.wait() == 1
    assert "file too large" in one_line(client)
    assert (tmp_path / "out").read_bytes() == server.answer[:100_000]
    closed = client.wait_event("closed")
    assert closed["bytes"][1] == 100_000 and closed["reason"] != "end"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_goes_away(start_sockeye, engine, kind):
    """Output was lost: exit 7. The server sends more than any buffer holds."""
    with listen_tcp() as listener:
        if kind == "pipe":
            reader, stdout = os.pipe()
        else:
            pair = socket.socketpair()
            reader, stdout = (end.detach() for end in pair)
        client = start_sockeye("connect", "--engine", engine,
                               "tcp:{}:{}".format(*listener.getsockname()), stdout=stdout)
        os.close(stdout)
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"first")
            assert os.read(reader, 5) == b"first"
            os.close(reader)
            sock.settimeout(DEADLINE_S)
            sock.sendall(payload(MIB))
            sock.shutdown(socket.SHUT_WR)
            client.close_stdin()
            assert client.wait() == 7
    assert "broken pipe" in one_line(client) or "connection reset" in one_line(client)
    assert client.wait_event("closed")["reason"] == "truncated"


def test_a_reader_that_goes_away_when_all_is_said(start_sockeye, server):
    """Nothing was lost: exit 0."""
    server.answer = b""
    reader, stdout = os.pipe()
    client = start_sockeye("connect", server.text, stdout=stdout)
    os.close(stdout)
    os.close(reader)
    client.send(QUESTION)
    client.close_stdin()
    assert client.wait() == 0, client
    assert server.question() == QUESTION


def test_a_writer_that_goes_away_is_an_end(start_sockeye, server):
    """The input's end is the end of a killed writer as well: a pipe does not tell."""
    read_end, write_end = os.pipe()
    client = start_sockeye("connect", server.text, stdin=read_end)
    os.close(read_end)
    os.write(write_end, b"some")
    client.wait_event("connected")
    os.close(write_end)
    assert client.wait() == 0 and server.question() == b"some" and client.stdout == ANSWER


def test_a_reset_socket_as_standard_input(start_sockeye, server):
    with listen_tcp() as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours:
        client = start_sockeye("connect", server.text, stdin=ours.fileno())
    client.wait_event("connected")
    reset(theirs)
    assert client.wait() == 7
    assert "connection reset by peer" in one_line(client)


def test_standard_input_and_output_are_one_socket(start_sockeye, server):
    """As under inetd: one socket for both, of which both are closed at the end."""
    ours, theirs = socket.socketpair()
    with theirs:
        client = start_sockeye("connect", server.text, stdin=ours.fileno(), stdout=ours.fileno())
        ours.close()
        theirs.settimeout(DEADLINE_S)
        theirs.sendall(QUESTION)
        theirs.shutdown(socket.SHUT_WR)
        assert receive_all(theirs) == ANSWER
    assert client.wait() == 0 and server.question() == QUESTION


def test_output_ends_when_its_way_ends(start_sockeye):
    """A pipe's reader sees the end when the server has ended, though our input is still open."""
    with listen_tcp() as listener:
        client = start_sockeye("connect", "tcp:{}:{}".format(*listener.getsockname()))
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"all")
            sock.shutdown(socket.SHUT_WR)
            eventually(client.stdout_ended, "the end of the output")
            assert client.stdout == b"all"
            assert client.running()
            client.close_stdin()
    assert client.wait() == 0


def test_a_large_file_through_pipes(start_sockeye, start, tmp_path, sockeye):
    """cat FILE | sockeye connect | sha256sum, as people use it."""
    source = tmp_path / "source"
    source.write_bytes(payload(16 * MIB))
    echo = start_sockeye("echo", "127.0.0.1:0")
    shell = start("sh", "-c", f'cat {source} | "{sockeye}" connect {echo.listening().text} | sha256sum')
    assert shell.wait() == 0
    assert shell.stdout.split()[0].decode() == digest(source)
