"""recv against senders that mean harm or die: nothing outside the folder, nothing half under a final name. And
send against receivers that do: it says so, and never that all is well."""

import contextlib
import os
import socket
import stat
import struct
import subprocess
import sys

import pytest

import transfers
from peers import connect, listen_tcp, payload, receive_all
from transfers import (BYE, DATA, DONE, END, FILE, FOLDER, FOLDER_END, FROM, GIVE_UP, GO, HOLE, MISSING, REFUSED,
                       TAKEN, entry, frame, hello, number, small)

MIB = 1 << 20


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def server(start_sockeye, inbox):
    return start_sockeye("recv", "--keep", "--no-sync", f"unix:{inbox.parent}/s", inbox)


def speak(server, *parts, end=True):
    """Says all of this and then ends; returns the types and payloads of the answers."""
    with connect(server.listening()) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(b"".join(parts))
            if end:
                sock.shutdown(1)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            said = receive_all(sock)
    assert said[:24] == hello("r"), said
    return [(kind, body) for _, kind, body in transfers.frames(said)]


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_fair_sender(server, inbox):
    """The other tests' own tool: what it says is taken."""
    answers = speak(server, hello(), small("a", b"alpha"), entry(FOLDER, "d", mode=0o755), small("d/e", b""),
                    entry(FOLDER_END, "d", mode=0o755), frame(BYE))
    assert answers == [(TAKEN, b"")] * 4 + [(DONE, b"")]
    assert (inbox / "a").read_bytes() == b"alpha" and everything_below(inbox) == ["a", "d", "d/e"]
    assert (inbox / "a").stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize("length", [0, 1, 63, 64, 255, 256, 257, 1024, 1025, 1088, 4096])
def test_digests_by_the_specification(length, server):
    answers = speak(server, hello(), small(f"f{length}", payload(length)), frame(BYE))
    assert answers == [(TAKEN, b""), (DONE, b"")]


def test_folders_of_a_transfer_that_is_cut(server, inbox):
    """They can be looked into, and filled when it comes again."""
    start = (hello(), entry(FOLDER, "d", mode=0o555), entry(FOLDER, "d/e", mode=0o755), small("d/e/f", b"alpha"))
    speak(server, *start)
    assert [stat.S_IMODE((inbox / name).stat().st_mode) for name in ("d", "d/e")] == [0o755, 0o755]
    speak(server, *start, small("d/g", b"beta"), entry(FOLDER_END, "d/e", mode=0o755),
          entry(FOLDER_END, "d", mode=0o555), frame(BYE))
    assert everything_below(inbox) == ["d", "d/e", "d/e/f", "d/g"]


BAD_NAMES = [b"", b"/etc/x", b"..", b"../x", b"a/../../x", b".", b"./x", b"a//b", b"a/", b"x\ny", b"x\x1b[2Jy",
             b"x\x7f", b"NUL", b"con", b"d/aux", b"Com1", b"lpt9", b"n" * 256, b"n/" * 2047 + b"nn", b".x.sockeye-part"]


def test_names_that_are_refused(server, inbox):
    for name in BAD_NAMES:
        answers = speak(server, hello(), small(name, b"evil"), small("good", b"good"), frame(BYE))
        (inbox / "good").unlink()
        assert [kind for kind, _ in answers] == [REFUSED, TAKEN, DONE], name
        assert b"refused" in answers[0][1] and not any(byte < 32 for byte in answers[0][1][1:]), answers
    assert everything_below(inbox.parent) == ["in", "s"]


def test_names_that_are_odd_and_allowed(server, inbox):
    names = ["aux.c", "with space", "-rf", "ünïcode", "\u202egnp.exe", "back\\slash", "n" * 255, "..hidden", "COM10"]
    answers = speak(server, hello(), *(small(name, b"x") for name in names), small(b"latin\xe9", b"x"), frame(BYE))
    assert answers == [(TAKEN, b"")] * (len(names) + 1) + [(DONE, b"")]
    assert len(os.listdir(inbox)) == len(names) + 1
    assert "\u202e" not in server.stderr


def test_links_on_the_way_are_not_followed(server, inbox):
    outside = inbox.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    (inbox / "link").symlink_to("../outside")
    (inbox / "file").symlink_to("../outside/file")
    answers = speak(server, hello(), small("link/x", b"evil"), small("file", b"evil"), entry(FOLDER, "link"),
                    entry(FOLDER_END, "link", mode=0o777), frame(BYE))
    assert [kind for kind, _ in answers] == [REFUSED, REFUSED, REFUSED, TAKEN, DONE]
    assert everything_below(outside) == ["file"] and (outside / "file").read_bytes() == b"mine"


def test_links_are_not_followed_where_openat2_is_refused(start_sockeye, inbox):
    """A filter of system calls that answers openat2 with EPERM, as containers have it."""
    program = (
        "import ctypes,os,struct,sys\n"
        "code=[(0x20,0,0,0),(0x15,0,1,437),(6,0,0,0x00050001),(6,0,0,0x7fff0000)]\n"
        "rules=b''.join(struct.pack('HBBI',*c) for c in code)\n"
        "buffer=ctypes.create_string_buffer(rules)\n"
        "prog=struct.pack('HxxxxxxP',len(code),ctypes.addressof(buffer))\n"
        "libc=ctypes.CDLL(None)\n"
        "assert libc.prctl(38,1,0,0,0)==0 and libc.prctl(22,2,prog,0,0)==0\n"
        "os.execvp(sys.argv[1],sys.argv[1:])\n")
    words = (sys.executable, "-c", program)
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no seccomp filter")
    (inbox / "link").symlink_to("..")
    (inbox / "d").mkdir()
    server = start_sockeye("recv", "--keep", "--no-sync", f"unix:{inbox.parent}/s", inbox, prefix=words)
    answers = speak(server, hello(), small("link/x", b"evil"), small("d/ok", b"good"), small("no/x", b""), frame(BYE))
    assert [kind for kind, _ in answers] == [REFUSED, TAKEN, REFUSED, DONE]
    assert b"symbolic link" in answers[0][1]
    assert everything_below(inbox.parent) == ["in", "in/d", "in/d/ok", "in/link", "s"]


def test_what_is_there_is_not_replaced(start_sockeye, inbox):
    server = start_sockeye("recv", "--keep", "--overwrite", f"unix:{inbox.parent}/s", inbox)
    os.mkfifo(inbox / "fifo")
    (inbox / "folder").mkdir(mode=0o700)
    (inbox / "file").write_bytes(b"old")
    answers = speak(server, hello(), small("fifo", b"x"), small("folder", b"x"), entry(FOLDER, "file"),
                    entry(FOLDER_END, "file"), small("file", b"new"), entry(FOLDER, "folder"),
                    entry(FOLDER_END, "folder", mode=0o777), frame(BYE))
    assert [kind for kind, _ in answers] == [REFUSED, REFUSED, REFUSED, TAKEN, TAKEN, TAKEN, TAKEN, DONE]
    assert (inbox / "file").read_bytes() == b"new"
    assert stat.S_ISFIFO((inbox / "fifo").stat().st_mode)
    assert stat.S_IMODE((inbox / "folder").stat().st_mode) == 0o700


def test_bits_that_are_not_taken(server, inbox):
    speak(server, hello(), small("suid", b"x", mode=0o7777), frame(BYE))
    assert stat.S_IMODE((inbox / "suid").stat().st_mode) == 0o777


def test_a_part_that_is_not_ours_alone(server, inbox):
    (inbox.parent / "victim").write_bytes(b"mine")
    (inbox / ".a.sockeye-part").symlink_to("../victim")
    (inbox / ".b.sockeye-part").hardlink_to(inbox.parent / "victim")
    answers = speak(server, hello(), small("a", b"x"), small("b", b"y"), frame(BYE))
    assert [kind for kind, _ in answers] == [TAKEN, TAKEN, DONE]
    assert (inbox.parent / "victim").read_bytes() == b"mine" and everything_below(inbox) == ["a", "b"]


def test_a_wrong_digest(start_sockeye, inbox):
    server = start_sockeye("recv", "--listen", f"unix:{inbox.parent}/s", inbox)
    answers = speak(server, hello(), entry(FILE, "f", 4), frame(DATA, b"four"), number(END, 1), frame(BYE))
    assert [kind for kind, _ in answers] == [REFUSED, DONE] and b"digests differ" in answers[0][1]
    assert server.wait() == 6 and os.listdir(inbox) == []


def test_a_hole_without_end(server, inbox):
    """Its digest would take days, in which nobody else is served: the file is refused, and the next one taken."""
    answers = speak(server, hello(), entry(FILE, "f", 1 << 62), number(FROM, 0), number(HOLE, 1 << 62),
                    number(END, 0), small("g", b"x"), frame(BYE))
    assert [kind for kind, _ in answers if kind in (TAKEN, REFUSED, DONE)] == [REFUSED, TAKEN, DONE]
    assert any(b"a hole of more than 64 TiB" in text for _, text in answers)
    assert everything_below(inbox) == ["g"]


OPEN = entry(FILE, "f", 100)
BREACHES = {
    "another version": (hello(version=2),),
    "no frame": (hello(), b"\xff" * 64),
    "a long control frame": (hello(), b"\x01\0\0\0\0\1\0\0"),
    "a long data frame": (hello(), OPEN, b"\x03\0\0\0\0\x20\0\1"),
    "an empty data frame": (hello(), OPEN, frame(DATA)),
    "data outside a file": (hello(), frame(DATA, b"x")),
    "data past the end": (hello(), OPEN, frame(DATA, b"x" * 101)),
    "a hole past the end": (hello(), OPEN, number(HOLE, 101)),
    "a huge hole": (hello(), OPEN, number(HOLE, (1 << 64) - 1)),
    "an end before the end": (hello(), OPEN, number(END, 0)),
    "an end outside a file": (hello(), number(END, 0)),
    "a file in a file": (hello(), OPEN, OPEN),
    "bye in a file": (hello(), OPEN, frame(BYE)),
    "from, not asked": (hello(), OPEN, number(FROM, 0)),
    "data before from": (hello(), entry(FILE, "f", 2 * MIB), frame(DATA, b"x")),
    "from elsewhere": (hello(), entry(FILE, "f", 2 * MIB), number(FROM, MIB)),
    "a size that is none": (hello(), entry(FILE, "f", 1 << 63)),
    "a time that is none": (hello(), entry(FILE, "f", nanoseconds=1_000_000_000)),
    "NUL in a name": (hello(), entry(FILE, b"a\0b")),
    "a short entry": (hello(), frame(FILE, b"x" * 23)),
    "the end of no folder": (hello(), entry(FOLDER_END, "d")),
    "the end of another": (hello(), entry(FOLDER, "d"), entry(FOLDER_END, "e")),
    "bye in a folder": (hello(), entry(FOLDER, "d"), frame(BYE)),
    "folders too deep": (hello(), *(entry(FOLDER, f"{n}") for n in range(300))),
    "words too long": (hello(), frame(MISSING, b"x" * 300)),
    "giving up without words": (hello(), OPEN, frame(GIVE_UP)),
    "a receiver's frame": (hello(), frame(GO, b"x" * 16)),
    "more after bye": (hello(), frame(BYE), small("x", b"")),
}


def test_breaches_of_the_protocol(server, inbox):
    for count, (what, parts) in enumerate(BREACHES.items(), 1):
        speak(server, *parts)
        closed = server.wait_events(count, "closed")[-1]
        if what != "more after bye":
            assert closed["reason"] == "error", what
        files = [name for name in everything_below(inbox) if (inbox / name).is_file()]
        assert files == [], what


def test_cuts_at_every_boundary_and_between(server, inbox):
    big = payload(MIB + 70_000)
    session = b"".join([
        hello(), small("a", b"alpha"), entry(FOLDER, "d"), small("d/e", payload(40_000)), entry(FOLDER_END, "d"),
        entry(FILE, "big", len(big)), number(FROM, 0), frame(DATA, big[:MIB]), number(HOLE, 0),
        frame(DATA, big[MIB:]), number(END, transfers.digest(big)), frame(BYE)])
    cuts = [at for at, _, _ in transfers.frames(session)]
    cuts += [(a + b) // 2 for a, b in zip(cuts, cuts[1:])] + [0, 5, 23, 28, len(session) - 1]
    assert len(cuts) > 20
    for count, cut in enumerate(sorted(cuts), 1):
        speak(server, session[:cut])
        server.wait_events(count, "closed")
        assert not (inbox / "big").exists() or cut > len(session) - 30, cut
        for name in ("a", "d/e"):
            assert not (inbox / name).exists() or (inbox / name).read_bytes() in (b"alpha", payload(40_000))
        for path in inbox.rglob(".*"):
            assert path.name == ".big.sockeye-part", path
    assert speak(server, session)[-1] == (DONE, b"")
    assert (inbox / "big").read_bytes() == big


def hear(stream, wanted):
    """Reads what the sender says up to a frame of that type."""
    kind = None
    while kind != wanted:
        kind, size = struct.unpack(">B3xI", stream.read(8))
        assert len(stream.read(size)) == size


def send_to(start_sockeye, path, first, after=None, then=b""):
    """Sends a file to a receiver that says the first, then hears a frame of the type `after`, says the rest and
    ends its sending; returns the sender, which has ended."""
    with listen_tcp() as listener:
        process = start_sockeye("send", path, "tcp:127.0.0.1:%d" % listener.getsockname()[1])
        sock = listener.accept()[0]
    with sock, sock.makefile("rb") as stream, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(first)
        assert stream.read(24)[:9] == hello()[:9]
        if after:
            hear(stream, after)
        sock.sendall(then)
        sock.shutdown(socket.SHUT_WR)
        while stream.read(65536):
            pass
    process.status = process.wait()
    return process


@pytest.fixture
def files(tmp_path):
    """A small file, and one whose receiver says first where to go on."""
    (tmp_path / "small").write_bytes(payload(10))
    (tmp_path / "big").write_bytes(payload(2 * MIB))
    return tmp_path / "small", tmp_path / "big"


def test_a_receiver_that_is_cut_at_every_boundary_and_between(files, start_sockeye):
    small_file, big_file = files
    for length in (0, 5, 23):
        process = send_to(start_sockeye, small_file, hello("r")[:length])
        assert process.status == 7 and "left before its word" in process.stderr, process
    last = frame(TAKEN) + frame(DONE)
    for path, after, answer in [(small_file, BYE, last), (big_file, FILE, frame(GO, bytes(16)))]:
        for length in sorted({*range(0, len(answer), 4), len(answer) - 1, len(frame(GO, bytes(16)))}):
            process = send_to(start_sockeye, path, hello("r"), after, answer[:length])
            whole = path == small_file and length >= len(last)
            assert process.status == (0 if whole else 7), (path, length, process)
            assert whole or process.stderr.count("\n") == 1 and "left before its word" in process.stderr, process


def test_receivers_that_break_the_protocol(files, start_sockeye):
    small_file, big_file = files
    for path, after, said, words in [
            (small_file, None, hello("r", version=2), "the peer speaks version 2"),
            (small_file, None, b"HTTP/1.1 400 Bad Request\r\n", "does not speak this protocol: 'HTTP/1.1 400"),
            (small_file, BYE, frame(TAKEN) * 2, "an answer to nothing"),
            (small_file, BYE, frame(TAKEN, b"x"), "breaks the protocol: taken"),
            (small_file, BYE, frame(DONE), "done too early"),
            (small_file, BYE, frame(GO, bytes(16)), "breaks the protocol: go"),
            (small_file, BYE, frame(FILE, bytes(30)), "an unknown frame"),
            (small_file, BYE, frame(REFUSED), "a refusal"),
            (small_file, BYE, frame(REFUSED, b"\x63why"), "a refusal"),
            (small_file, BYE, frame(REFUSED, bytes(300)), "a refusal"),
            (small_file, BYE, frame(REFUSED, b"\0a\x1b[2J\n") + frame(DONE), r"the receiver: small: a\x1b[2J\n"),
            (small_file, BYE, b"\x12\0\0\0\0\1\0\0", "a frame of that length"),
            (big_file, FILE, frame(TAKEN), "taken before the end"),
            (big_file, FILE, frame(GO, b"short"), "breaks the protocol: go")]:
        process = (send_to(start_sockeye, path, hello("r"), after, said) if after
                   else send_to(start_sockeye, path, said))
        assert process.status == 1 and words in process.stderr, (said, process)
        assert "\x1b" not in process.stderr
