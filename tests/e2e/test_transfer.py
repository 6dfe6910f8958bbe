"""send and recv: files whole or not at all, over every stream, between each other and with nc, socat, ncat."""

import errno
import os
import random
import re
import signal
import socket
import stat
import threading

import pytest

from peers import TCP_CLIENTS, connect, digest, listen_tcp, payload, receive_all
from processes import eventually

MIB = 1 << 20
PART = ".big.sockeye-part"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def make(path, size, seed=0):
    path.write_bytes(payload(size, seed))
    return path


def end_of(server, kind):
    """What the other side dials to reach a server that listens."""
    address = server.listening()
    pin = server.wait_event("listening").get("pin")
    return f"{kind}:{address.text}" + (f",pin={pin}" if pin else "")


ENDPOINTS = {"tcp": "tcp:127.0.0.1:0", "tls": "tls:127.0.0.1:0", "unix": "unix:{}/s"}


def receiver(start_sockeye, inbox, *options, kind="unix", **more):
    return start_sockeye("recv", "--listen", *options, ENDPOINTS[kind].format(inbox.parent), inbox, **more)


def needs_tls(run_sockeye):
    if run_sockeye("connect", "--check", "tls:127.0.0.1:9").status == 8:
        pytest.skip("built without TLS")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ENDPOINTS)
@pytest.mark.parametrize("listens", ["recv", "send"])
def test_files_and_folders(kind, listens, start_sockeye, run_sockeye, inbox, tmp_path):
    if kind == "tls":
        needs_tls(run_sockeye)
    make(tmp_path / "big", 3 * MIB + 17).chmod(0o751)
    os.utime(tmp_path / "big", ns=(1, 1_234_567_890_123_456_789))
    tree = tmp_path / "tree"
    (tree / "deep/er").mkdir(parents=True)
    make(tree / "deep/er/middle", 100_000)
    make(tree / "deep/small", 10)
    make(tree / "empty", 0)
    (tree / "deep").chmod(0o700)
    files = [tmp_path / "big", f"{tree}/"]
    if listens == "recv":
        server = receiver(start_sockeye, inbox, "--json", kind=kind)
        result = run_sockeye("send", *files, end_of(server, kind))
    else:
        server = start_sockeye("send", "--listen", *files, ENDPOINTS[kind].format(tmp_path))
        result = run_sockeye("recv", "--json", end_of(server, kind), inbox)
    assert (result.status, result.err) == (0, "")
    assert server.wait() == 0
    assert digest(inbox / "big") == digest(tmp_path / "big")
    assert contents(inbox / "tree") == contents(tree)
    big = (inbox / "big").stat()
    assert (stat.S_IMODE(big.st_mode), big.st_mtime_ns) == (0o751, 1_234_567_890_123_456_789)
    assert stat.S_IMODE((inbox / "tree/deep").stat().st_mode) == 0o700
    assert sorted(os.listdir(inbox)) == ["big", "tree"]


def test_by_commands(start_sockeye, sockeye, run_sockeye, inbox, tmp_path):
    """As over ssh: the receiver is at the other end of a command's standard input and output."""
    make(tmp_path / "big", 2 * MIB)
    result = run_sockeye("send", tmp_path / "big", f"exec:{sockeye} recv - {inbox}")
    assert (result.status, result.err) == (0, "")
    assert digest(inbox / "big") == digest(tmp_path / "big")


@pytest.mark.parametrize("name", TCP_CLIENTS)
def test_raw(name, start_sockeye, run_sockeye, peers, tmp_path):
    file = make(tmp_path / "file", MIB + 5)
    server = start_sockeye("recv", "--listen", "--raw", "tcp:127.0.0.1:0", tmp_path / "got")
    peer = peers.client(name, server.listening())
    peer.send(file.read_bytes())
    peer.close_stdin()
    assert peer.wait() == 0
    assert server.wait() == 0
    assert digest(tmp_path / "got") == digest(file)
    taker = peers.listener(name)
    taker.close_stdin()
    assert run_sockeye("send", "--raw", file, f"tcp:{taker.address.text}").status == 0
    taker.wait()
    assert digest(taker.stdout) == digest(file)


def test_many_small_files(start_sockeye, run_sockeye, inbox, tmp_path):
    tree = tmp_path / "many"
    tree.mkdir()
    for number in range(1000):
        (tree / f"{number}").write_bytes(b"%d" % number)
    server = receiver(start_sockeye, inbox, "--no-sync")
    assert run_sockeye("send", "-q", tree, end_of(server, "unix")).status == 0
    assert server.wait() == 0
    got = contents(inbox / "many")
    assert len(got) == 1000 and all(int(name) == int(data) for name, data in got.items())


def test_holes_stay_holes(start_sockeye, run_sockeye, inbox, tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(5 << 30)
        for at in (3 * MIB + 1, 4 << 30):
            file.seek(at)
            file.write(b"data")
    server = receiver(start_sockeye, inbox)
    sender = start_sockeye("send", tmp_path / "sparse", end_of(server, "unix"))
    assert (sender.wait(), server.wait()) == (0, 0)
    got = (inbox / "sparse").stat()
    assert got.st_size == 5 << 30 and got.st_blocks * 512 < MIB
    assert sender.wait_event("closed")["bytes"][1] < MIB
    with open(inbox / "sparse", "rb") as file:
        file.seek(4 << 30)
        assert file.read(6) == b"data\0\0"


def test_again_is_cheap_and_well(start_sockeye, run_sockeye, inbox, tmp_path):
    """What is there already, the same, counts as sent; what is there and is another is refused."""
    make(tmp_path / "big", 2 * MIB)
    make(tmp_path / "small", 100)
    files = [tmp_path / "big", tmp_path / "small"]
    for moved_max in (3 * MIB, 10_000):
        server = receiver(start_sockeye, inbox)
        sender = start_sockeye("send", *files, end_of(server, "unix"))
        assert (sender.wait(), server.wait()) == (0, 0)
        assert sender.wait_event("closed")["bytes"][1] < moved_max
    before = contents(inbox)
    for file in files:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        server = receiver(start_sockeye, inbox)
        result = run_sockeye("send", file, end_of(server, "unix"))
        assert (result.status, server.wait()) == (1, 1)
        assert f"sockeye: send: the receiver: {file.name}: there already" in result.err
        assert contents(inbox) == before
    server = receiver(start_sockeye, inbox, "--overwrite")
    assert run_sockeye("send", *files, end_of(server, "unix")).status == 0
    assert server.wait() == 0
    assert contents(inbox) == {file.name: file.read_bytes() for file in files}


def cut_and_resume(rng, start_sockeye, inbox, tmp_path, size):
    """Kills one side after a random number of bytes; nothing stands under the final name; again, and it
    goes on from what came."""
    source = tmp_path / "big"
    if (inbox / "big").exists():
        (inbox / "big").unlink()
    server = receiver(start_sockeye, inbox)
    with listen_tcp() as middle:
        host, port = middle.getsockname()
        sender = start_sockeye("send", source, f"tcp:{host}:{port}")
        to_sender, to_receiver = middle.accept()[0], connect(server.listening())
    victim, left = rng.choice([sender, server]), rng.randrange(size)
    back = threading.Thread(target=pump, args=(to_receiver, to_sender, 1 << 40))
    back.start()
    pump(to_sender, to_receiver, left)
    victim.kill(signal.SIGKILL)
    victim.wait()
    for sock in (to_sender, to_receiver):
        sock.shutdown(socket.SHUT_RDWR)
    other = sender if victim is server else server
    assert other.wait() == 7, (other, left)
    back.join()
    to_sender.close()
    to_receiver.close()
    assert not (inbox / "big").exists()
    part = inbox / PART
    if part.exists():
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    for path in tmp_path.glob("s"):
        path.unlink()
    server = receiver(start_sockeye, inbox, "--json")
    sender = start_sockeye("send", source, end_of(server, "unix"))
    assert (sender.wait(), server.wait()) == (0, 0)
    assert digest(inbox / "big") == digest(source)
    assert os.listdir(inbox) == ["big"]
    return int(re.search(rb'"resumed_bytes":(\d+)', server.stdout)[1])


def pump(from_sock, to_sock, size):
    try:
        while size > 0 and (piece := from_sock.recv(min(size, 65536))):
            to_sock.sendall(piece)
            size -= len(piece)
    except OSError:
        pass


def test_kill_and_resume(start_sockeye, inbox, tmp_path):
    make(tmp_path / "big", 12 * MIB)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    resumed = [cut_and_resume(rng, start_sockeye, inbox, tmp_path, 12 * MIB) for _ in range(5)]
    assert all(0 <= bytes_ <= 12 * MIB and bytes_ % MIB == 0 for bytes_ in resumed)


def test_a_wrong_part_is_not_used(start_sockeye, run_sockeye, inbox, tmp_path):
    """A part of the right length and other bytes: only its digest tells."""
    make(tmp_path / "big", 4 * MIB)
    (inbox / PART).write_bytes(payload(3 * MIB, seed=1))
    (inbox / PART).chmod(0o600)
    server = receiver(start_sockeye, inbox, "--json")
    assert run_sockeye("send", tmp_path / "big", end_of(server, "unix")).status == 0
    assert server.wait() == 0
    assert b'"resumed_bytes":0,' in server.stdout
    assert digest(inbox / "big") == digest(tmp_path / "big")


def test_a_right_part_is_used(start_sockeye, run_sockeye, inbox, tmp_path):
    make(tmp_path / "big", 4 * MIB)
    (inbox / PART).write_bytes(payload(4 * MIB)[:3 * MIB + 100])
    (inbox / PART).chmod(0o600)
    server = receiver(start_sockeye, inbox, "--json")
    assert run_sockeye("send", tmp_path / "big", end_of(server, "unix")).status == 0
    assert server.wait() == 0
    assert b'"resumed_bytes":%d,' % (3 * MIB) in server.stdout
    assert digest(inbox / "big") == digest(tmp_path / "big")



@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_is_not_delivered(change, start_sockeye, inbox, tmp_path):
    source = make(tmp_path / "big", 12 * MIB)
    server = receiver(start_sockeye, inbox)
    with listen_tcp() as middle:
        host, port = middle.getsockname()
        sender = start_sockeye("send", source, f"tcp:{host}:{port},sndbuf=64k")
        to_sender, to_receiver = middle.accept()[0], connect(server.listening())
    back = threading.Thread(target=pump, args=(to_receiver, to_sender, 1 << 40))
    back.start()
    pump(to_sender, to_receiver, 2 * MIB)
    if change == "touch":
        with open(source, "r+b") as file:
            file.write(b"changed")
    else:
        os.truncate(source, {"grow": 13, "shrink": 11}[change] * MIB)
    pump(to_sender, to_receiver, 1 << 40)
    assert (sender.wait(), server.wait()) == (1, 1)
    back.join()
    to_sender.close()
    to_receiver.close()
    assert re.search(r"sockeye: send: big: (changed|became shorter) while it was sent", sender.stderr), sender
    assert "gave it up" in server.stderr
    assert os.listdir(inbox) == []


def test_what_cannot_be_sent_is_told_on_both_sides(start_sockeye, run_sockeye, inbox, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    make(tree / "file", 10)
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo")
    server = receiver(start_sockeye, inbox)
    result = run_sockeye("send", tree, end_of(server, "unix"))
    assert (result.status, server.wait()) == (1, 1)
    for said in (result.err, server.stderr):
        assert "tree/link: a symbolic link" in said and "tree/fifo: a device, pipe or socket" in said
    assert sorted(os.listdir(inbox / "tree")) == ["file"]


def test_a_refused_name_is_escaped_once(start_sockeye, run_sockeye, inbox, tmp_path):
    make(tmp_path / "a\nb\\", 10)
    server = receiver(start_sockeye, inbox)
    result = run_sockeye("send", tmp_path / "a\nb\\", end_of(server, "unix"))
    assert (result.status, server.wait()) == (1, 1)
    line = r"a\nb\\: refused as a name: a control character"
    assert result.err == f"sockeye: send: the receiver: {line}\n"
    assert f"sockeye: recv: {line}\n" in server.stderr


@pytest.mark.parametrize("listens", ["recv", "send"])
def test_a_failed_handshake_is_told_and_the_next_peer_served(listens, start_sockeye, run_sockeye, inbox, tmp_path):
    """Of a client that does not trust the listener, and of one that speaks no TLS."""
    needs_tls(run_sockeye)
    file = make(tmp_path / "file", 10)
    words = {"recv": lambda end, *options: ("recv", *options, end, inbox),
             "send": lambda end, *options: ("send", *options, file, end)}
    dials = words["send" if listens == "recv" else "recv"]
    server = start_sockeye(*words[listens](ENDPOINTS["tls"], "--listen"))
    address = server.listening()
    result = run_sockeye(*dials(f"tls:{address.text}"))
    assert result.status == 6 and "certificate" in result.err
    server.wait_events(1, "closed", reason="tls")
    with connect(address) as sock:
        sock.sendall(b"sockeye\n" * 4)
        receive_all(sock)
    server.wait_events(2, "closed", reason="tls")
    server.wait_stderr(rf"(?s)(sockeye: {listens}: 127\.0\.0\.1: tls:.*){{2}}")
    assert run_sockeye(*dials(end_of(server, "tls"))).status == 0
    assert server.wait() == 0
    assert digest(inbox / "file") == digest(file)


def test_two_receivers_into_one_folder(start_sockeye, inbox, tmp_path):
    """The same name at the same time: one gets it, the other side is told."""
    source = make(tmp_path / "big", 8 * MIB)
    servers = [start_sockeye("recv", "--listen", "tcp:127.0.0.1:0", inbox) for _ in range(2)]
    with listen_tcp() as middle:
        host, port = middle.getsockname()
        first = start_sockeye("send", source, f"tcp:{host}:{port}")
        to_sender, to_receiver = middle.accept()[0], connect(servers[0].listening())
    back = threading.Thread(target=pump, args=(to_receiver, to_sender, 1 << 40))
    back.start()
    pump(to_sender, to_receiver, 2 * MIB)
    eventually(lambda: (inbox / PART).exists(), "the first one's part")
    second = start_sockeye("send", source, end_of(servers[1], "tcp"))
    assert second.wait() == 1 and servers[1].wait() == 1
    assert "big: another receiver is writing it" in second.stderr
    pump(to_sender, to_receiver, 1 << 40)
    assert (first.wait(), servers[0].wait()) == (0, 0)
    back.join()
    to_sender.close()
    to_receiver.close()
    assert digest(inbox / "big") == digest(source) and os.listdir(inbox) == ["big"]


@pytest.fixture
def small_disk(tmp_path):
    """Words before a command that give it a disk of 4 MiB at a folder, in a mount namespace of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=4m none {folder} && exec "$@"', "sh")
    probe = os.spawnvp(os.P_WAIT, words[0], [*words, "true"])
    if probe:
        pytest.skip("this host allows no mounts in a namespace of one's own")
    return folder, words


def test_a_full_disk(small_disk, start_sockeye, run_sockeye, tmp_path):
    folder, words = small_disk
    make(tmp_path / "big", 8 * MIB)
    make(tmp_path / "small", 100)
    look = f'"$@"; status=$?; ls -A {folder} >{tmp_path}/left; exit $status'
    server = start_sockeye("recv", "--listen", f"unix:{tmp_path}/s", folder, prefix=[*words, "sh", "-c", look, "sh"])
    address = end_of(server, "unix")
    sender = start_sockeye("send", tmp_path / "big", tmp_path / "small", address)
    assert (sender.wait(), server.wait()) == (1, 1)
    for side in (sender, server):
        assert "big: no space left on device" in side.stderr
    assert (tmp_path / "left").read_text() == "small\n"  # and no part


@pytest.fixture
def faulty():
    """The environment in which a call of the C library fails; see tests/faults/fault.c."""
    library = os.path.join(os.environ.get("SOCKEYE_BUILD", ""), "tests/faults/libfault.so")
    if os.environ.get("SOCKEYE_SANITIZED") or not os.path.exists(library):
        pytest.skip("the library of faults cannot be loaded here")

    def environment(call, number, error):
        return {"LD_PRELOAD": library, "EYE_FAULT": f"{call}:{number}:{error}"}
    return environment


@pytest.mark.parametrize("call, number", [("pread", 3), ("sendfile", 1)])
def test_a_read_error_while_sending(call, number, faulty, start_sockeye, inbox, tmp_path):
    """The file is given up, and others are sent."""
    make(tmp_path / "big", 3 * MIB)
    make(tmp_path / "small", 100)
    server = receiver(start_sockeye, inbox)
    sender = start_sockeye("send", tmp_path / "big", tmp_path / "small", end_of(server, "unix"),
                           env=faulty(call, number, errno.EIO))
    assert (sender.wait(), server.wait()) == (1, 1)
    assert "big: input/output error" in sender.stderr and "gave it up: input/output error" in server.stderr
    assert sorted(os.listdir(inbox)) == ["small"]


@pytest.mark.parametrize("call, number, error, says", [
    ("fsync", 1, errno.EIO, "input/output error"),
    ("fsync", 1, errno.EDQUOT, "disk quota exceeded"),
    ("pwrite", 9, errno.EDQUOT, "disk quota exceeded"),
    ("pwrite", 9, errno.ENOSPC, "no space left on device"),
    ("renameat2", 1, errno.EIO, "input/output error"),
])
def test_a_disk_that_fails_while_receiving(call, number, error, says, faulty, start_sockeye, inbox, tmp_path):
    """The reason comes to both sides, and nothing is left."""
    make(tmp_path / "big", 3 * MIB)
    server = receiver(start_sockeye, inbox, env=faulty(call, number, error))
    sender = start_sockeye("send", tmp_path / "big", end_of(server, "unix"))
    assert (sender.wait(), server.wait()) == (1, 1)
    assert f"the receiver: big: {says}" in sender.stderr and f"big: {says}" in server.stderr
    assert os.listdir(inbox) == []


@pytest.mark.parametrize("call, error", [
    ("fsync", errno.EIO), ("copy_file_range", errno.EDQUOT), ("copy_file_range", errno.ENOSPC)])
def test_a_disk_that_fails_while_copying(call, error, faulty, run_sockeye, inbox, tmp_path):
    make(tmp_path / "big", MIB)
    make(inbox / "copy", 10)
    result = run_sockeye("copy", tmp_path / "big", inbox / "copy", env=faulty(call, 1, error))
    assert result.status == 1 and os.strerror(error).lower() in result.err
    assert contents(inbox) == {"copy": payload(10)}


def test_wrong_usage(run_sockeye, inbox, tmp_path):
    make(tmp_path / "a", 1)
    make(tmp_path / "b", 1)
    for words, status, said in [
            (("send", tmp_path / "a", "udp:127.0.0.1:9"), 2, "files go over streams"),
            (("send", tmp_path / "none", "tcp:127.0.0.1:9"), 1, "no such file"),
            (("send", "/", "tcp:127.0.0.1:9"), 2, "no name to send it under"),
            (("send", "--raw", tmp_path / "a", tmp_path / "b", "tcp:127.0.0.1:9"), 2, "--raw sends one file"),
            (("recv", "--raw", "tcp:127.0.0.1:9"), 2, "--raw needs the FILE"),
            (("recv", "tcp:127.0.0.1:9", tmp_path / "none"), 1, "no such file")]:
        result = run_sockeye(*words)
        assert result.status == status and said in result.err, result


def test_two_senders_and_other_protocols(start_sockeye, run_sockeye, inbox, tmp_path):
    make(tmp_path / "a", 1)
    server = start_sockeye("send", "--listen", tmp_path / "a", f"unix:{tmp_path}/s")
    result = run_sockeye("send", tmp_path / "a", end_of(server, "unix"))
    assert result.status == 2 and "both sides send" in result.err
    server.wait()
    server = receiver(start_sockeye, inbox)
    with connect(server.listening()) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        receive_all(sock)
    assert server.wait() == 1
    assert r"does not speak this protocol: 'GET / HTTP/1.1\r\n\r\n'" in server.stderr
    assert "--raw" in server.stderr


def test_a_silent_peer_is_left(start_sockeye, inbox, tmp_path):
    server = start_sockeye("recv", "--listen", f"unix:{tmp_path}/s,timeout=100ms", inbox)
    with connect(server.listening()):
        assert server.wait() == 124


def test_a_signal(start_sockeye, inbox, tmp_path):
    make(tmp_path / "big", 3 * MIB)
    server = receiver(start_sockeye, inbox)
    with connect(server.listening()):
        server.wait_event("connected")
        assert server.stop(signal.SIGINT) == 130
    assert os.listdir(inbox) == []


def test_keep_serves_one_after_another(start_sockeye, run_sockeye, inbox, tmp_path):
    server = start_sockeye("recv", "--keep", f"unix:{tmp_path}/s", inbox)
    address = end_of(server, "unix")
    for number in range(3):
        make(tmp_path / f"f{number}", 10)
        with connect(server.listening()) as sock:
            sock.sendall(b"noise")
        assert run_sockeye("send", tmp_path / f"f{number}", address).status == 0
    assert server.stop() == 143
    assert sorted(os.listdir(inbox)) == ["f0", "f1", "f2"]
