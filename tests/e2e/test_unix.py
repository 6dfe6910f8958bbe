"""The file of a Unix socket: its mode, who may replace it, and its removal. Recipe 16."""

import ctypes
import fcntl
import os
import pathlib
import signal
import socket
import stat
import tempfile

import pytest

from peers import connect, receive_exactly, tool
from processes import eventually

IN_ATTRIB, IN_CREATE = 4, 256
UMASKS = (0o000, 0o002, 0o022, 0o077, 0o177, 0o777)


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def answers(path):
    with connect(str(path)) as sock:
        sock.sendall(b"there?\n")
        return receive_exactly(sock, 7) == b"there?\n"


def stale(path, kind=socket.SOCK_STREAM):
    """A socket file that nobody listens on any more."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(str(path))


class Watch:
    """What happens in a folder (inotify(7)): pairs of a mask and a name."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0 and libc.inotify_add_watch(
            self._fd, os.fsencode(folder), IN_CREATE | IN_ATTRIB) >= 0

    def read(self):
        data = os.read(self._fd, 65536)
        os.close(self._fd)
        events = []
        while data:
            mask = int.from_bytes(data[4:8], "little")
            size = int.from_bytes(data[12:16], "little")
            events.append((mask, data[16:16 + size].rstrip(b"\0").decode()))
            data = data[16 + size:]
        return events


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_mode_is_0600_unless_said(start_sockeye, tmp_path, umask):
    watch = Watch(tmp_path)
    start_sockeye("echo", f"{tmp_path}/s", umask=umask).listening()
    assert mode_of(tmp_path / "s") == 0o600 & ~umask
    # It appeared with that mode: nothing changed it after it was there.
    assert watch.read() == [(IN_CREATE, "s")]


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
@pytest.mark.parametrize("mode", ["0600", "0660", "0666", "0777", "0200"])
def test_mode_that_is_asked_for(start_sockeye, tmp_path, umask, mode):
    """Where the umask takes something away it is given back afterwards, and never before."""
    watch = Watch(tmp_path)
    start_sockeye("echo", f"unix:{tmp_path}/s,mode={mode}", umask=umask).listening()
    assert mode_of(tmp_path / "s") == int(mode, 8)
    changed = [(IN_ATTRIB, "s")] if int(mode, 8) & umask else []
    assert watch.read() == [(IN_CREATE, "s"), *changed]


def test_mode_is_set_on_the_socket_before_bind(start, sockeye, tmp_path):
    """Between bind and a chmod anybody could connect: strace shows the order."""
    log = tmp_path / "log"
    traced = start(tool("strace"), "-D", "-o", log, "-e", "trace=fchmod,bind,chmod,fchmodat",
                   sockeye, "echo", f"unix:{tmp_path}/s,mode=0640", umask=0)
    traced.wait_stderr("listening on")
    calls = [line.split("(")[0] for line in log.read_text(encoding="utf-8").splitlines()
             if line.startswith("fchmod(") or f"{tmp_path}/s" in line]
    assert calls == ["fchmod", "bind"], log.read_text()


def test_wrong_modes_are_wrong_usage(run_sockeye, tmp_path):
    for mode in ("9", "rw", "01777", "-1", ""):
        result = run_sockeye("echo", f"unix:{tmp_path}/s,mode={mode}")
        assert result.status == 2 and not (tmp_path / "s").exists(), mode


@pytest.mark.parametrize("kind", ["stream", "seqpacket"])
def test_a_stale_file_is_replaced(start_sockeye, tmp_path, kind):
    path = tmp_path / "s"
    stale(path, {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}[kind])
    before = path.lstat()
    server = start_sockeye("listen", "--keep", f"unix:{path},type={kind}")
    server.listening()
    assert path.lstat().st_ctime_ns > before.st_ctime_ns and mode_of(path) == 0o600
    assert server.stop() == 128 + signal.SIGTERM and not path.exists()


@pytest.mark.parametrize("command", ["echo", "listen"])
def test_a_live_server_is_never_replaced(start_sockeye, run_sockeye, tmp_path, command):
    path = tmp_path / "s"
    first = start_sockeye("echo", path)
    first.listening()
    before = path.lstat()
    result = run_sockeye(command, path)
    assert result.status == 4
    assert result.err.splitlines()[0] == f"sockeye: {command}: {path}: address already in use"
    assert "live server" in result.err
    assert path.lstat().st_ino == before.st_ino and answers(path)


def test_a_live_server_of_others_is_never_replaced(peers, run_sockeye, tmp_path):
    path = str(tmp_path / "s")
    peers.socat_listen("PIPE", options=",fork", path=path)
    assert run_sockeye("echo", path).status == 4
    assert answers(path)


def test_a_live_server_of_another_type_is_never_replaced(run_sockeye, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as live:
        live.bind(str(path))
        before = path.lstat().st_ino
        assert run_sockeye("echo", path).status == 4
        assert path.lstat().st_ino == before
    path.unlink()


def test_a_server_with_a_full_queue_is_alive(run_sockeye, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with connect(str(path)):
            before = path.lstat().st_ino
            assert run_sockeye("echo", path).status == 4
            assert path.lstat().st_ino == before
    path.unlink()


def test_a_plain_file_is_left_alone(run_sockeye, tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    result = run_sockeye("echo", path)
    assert result.status == 4 and "no socket" in result.err
    assert path.read_text() == "precious"


@pytest.mark.parametrize("target", ["stale", "plain", "nothing", "folder"])
def test_a_symlink_is_left_alone(run_sockeye, tmp_path, target):
    path, there = tmp_path / "s", tmp_path / target
    if target == "stale":
        stale(there)
    elif target == "plain":
        there.write_text("precious")
    elif target == "folder":
        there.mkdir()
    path.symlink_to(there)
    result = run_sockeye("echo", path)
    assert result.status == 4, result
    assert path.is_symlink()
    assert there.exists() == (target != "nothing")
    if target == "stale":
        there.unlink()


def test_a_folder_or_a_fifo_is_left_alone(run_sockeye, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "fifo"):
        assert run_sockeye("echo", tmp_path / name).status == 4
        assert (tmp_path / name).exists()


def test_a_folder_that_does_not_exist(run_sockeye, tmp_path):
    result = run_sockeye("echo", tmp_path / "none" / "s")
    assert result.status == 4 and "the directory does not exist" in result.err


@pytest.mark.parametrize("command", [("echo", "{}"), ("listen", "{}"), ("relay", "{}", "127.0.0.1:9")])
def test_it_is_unlinked_at_the_end(start_sockeye, tmp_path, command):
    path = tmp_path / "s"
    server = start_sockeye(*(word.format(path) for word in command))
    server.listening()
    assert path.is_socket()
    assert server.stop() == 128 + signal.SIGTERM
    assert not path.exists()


def test_listen_unlinks_when_its_peer_has_come(start_sockeye, tmp_path):
    path = tmp_path / "s"
    server = start_sockeye("listen", path)
    server.listening()
    with connect(str(path)) as sock:
        sock.sendall(b"hello\n")
        server.wait_stdout("hello\n")
        assert not path.exists()  # nobody else will be served
        server.close_stdin()
    assert server.wait() == 0


@pytest.mark.parametrize("other", ["socket", "file", "symlink", "nothing"])
def test_only_its_own_file_is_unlinked(start_sockeye, tmp_path, other):
    path = tmp_path / "s"
    server = start_sockeye("echo", path)
    server.listening()
    path.rename(tmp_path / "moved")
    if other == "socket":
        stale(path)
    elif other == "file":
        path.write_text("precious")
    elif other == "symlink":
        path.symlink_to(tmp_path / "moved")
    assert server.stop() == 128 + signal.SIGTERM
    assert os.path.lexists(path) == (other != "nothing")
    assert (tmp_path / "moved").is_socket()
    (tmp_path / "moved").unlink()
    if other == "socket":
        path.unlink()


def test_successor_keeps_its_file(start_sockeye, tmp_path):
    """A new server starts at once where an old one still ends: neither loses its file to the other."""
    path = tmp_path / "s"
    old = start_sockeye("echo", path)
    old.listening()
    path.unlink()
    new = start_sockeye("echo", path)
    new.listening()
    assert old.stop() == 128 + signal.SIGTERM
    assert path.is_socket() and answers(path)


def test_servers_that_start_at_once(start_sockeye, tmp_path):
    """On one stale file: one of them wins, and stays; none takes another's socket for a stale one."""
    path = tmp_path / "s"
    for _ in range(5):
        stale(path)
        servers = [start_sockeye("echo", path) for _ in range(5)]
        losers = eventually(lambda: len(ended := [one for one in servers if not one.running()]) == 4
                            and ended, "the end of all but one")
        assert [loser.wait() for loser in losers] == [4] * 4
        assert answers(path)
        winner, = (one for one in servers if one.running())
        assert winner.stop() == 128 + signal.SIGTERM and not path.exists()


def test_a_locked_folder_stops_nobody(start_sockeye, tmp_path):
    """Whoever may read a folder may lock it, for ever."""
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    start_sockeye("echo", tmp_path / "s").listening()
    assert answers(tmp_path / "s")
    os.close(folder)


@pytest.fixture
def dropbox():
    """A folder in which everybody may make files and nobody may look."""
    with tempfile.TemporaryDirectory(prefix="eye") as folder:
        os.chmod(folder, 0o333)
        yield pathlib.Path(folder)
        os.chmod(folder, 0o700)


def test_a_folder_that_may_not_be_read(start, sockeye, dropbox):
    """Write permission alone is enough to serve."""
    folder = dropbox
    try:
        server = start(sockeye, "echo", folder / "s", user="nobody" if os.getuid() == 0 else None)
    except PermissionError:
        pytest.skip("the command under test lies where another user may not run it")
    server.wait_stderr("listening on")
    assert (folder / "s").is_socket()
    assert server.stop() == 128 + signal.SIGTERM and not (folder / "s").exists()


def test_paths_of_every_length(start_sockeye, run_sockeye, tmp_path):
    """107 bytes are the most (unix(7))."""
    stem = f"{tmp_path}/"
    longest = stem + "x" * (107 - len(stem))
    start_sockeye("echo", longest).listening()
    assert answers(longest)
    result = run_sockeye("echo", longest + "x")
    assert result.status == 2 and "107" in result.err


def test_a_path_with_commas_and_colons(start_sockeye, run_sockeye, tmp_path):
    path = tmp_path / "a,b:c d"
    start_sockeye("echo", f"unix,mode=0600:{path}").listening()
    assert answers(path)
    assert run_sockeye("connect", "--check", f"unix:{path}").status == 0
