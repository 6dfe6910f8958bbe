"""copy: one ladder for files of every kind, and a copy that is whole or not there."""

import contextlib
import glob
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from peers import digest, payload
from processes import DEADLINE_S, eventually

MIB = 1 << 20
HOLES_AROUND = (MIB, (4 << 30) + 4096)  # past what 32 bits count
STEPS = ("reflink", "copy_file_range", "sendfile", "read and write")


@pytest.fixture
def copy(run_sockeye):
    """copy(*words) copies, which has to go well; returns the row of --json."""
    def run(*words, **options):
        result = run_sockeye("copy", "--json", *words, **options)
        assert (result.status, result.err) == (0, ""), result
        row = json.loads(result.out)
        assert row["bytes"] == row["hole_bytes"] + sum(row["steps"].values())
        return row
    return run


def make(path, size):
    path.write_bytes(payload(size))
    return path


@pytest.mark.parametrize("size", [0, 1, 4095, 3 * MIB + 7])
def test_a_file(size, copy, tmp_path):
    source = make(tmp_path / "a", size)
    source.chmod(0o640)
    os.utime(source, ns=(1, 1_234_567_890_123_456_789))
    row = copy(source, tmp_path / "b")
    assert (row["files"], row["bytes"]) == (1, size)
    assert digest(tmp_path / "b") == digest(source)
    got = (tmp_path / "b").stat()
    assert (stat.S_IMODE(got.st_mode), got.st_mtime_ns) == (0o640, 1_234_567_890_123_456_789)
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_into_a_folder_over_a_file_and_through_a_link(copy, tmp_path):
    source = make(tmp_path / "a", 10)
    folder = tmp_path / "folder"
    folder.mkdir()
    copy(source, folder)
    assert (folder / "a").read_bytes() == source.read_bytes()
    (folder / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/a")
    copy(source, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (folder / "a").read_bytes() == source.read_bytes()


def test_what_has_no_size(copy, tmp_path):
    """Or one that lseek(2) knows nothing of, as those of PCI's configuration."""
    for source in ("/proc/cpuinfo", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled",
                   *glob.glob("/proc/bus/pci/*/*")):
        if not os.path.exists(source):
            continue
        row = copy(source, tmp_path / "b")
        assert row["bytes"] > 0 and (tmp_path / "b").stat().st_size == row["bytes"]
    if os.path.exists("/proc/version"):
        copy("/proc/version", tmp_path / "b")
        with open("/proc/version", "rb") as file:
            assert (tmp_path / "b").read_bytes() == file.read()


def test_pipes(copy, run_sockeye, start, sockeye, tmp_path):
    data = payload(300_000)
    process = start(sockeye, "copy", "/dev/stdin", tmp_path / "b")
    process.send(data)
    process.close_stdin()
    assert process.wait() == 0 and (tmp_path / "b").read_bytes() == data
    result = run_sockeye("copy", tmp_path / "b", "/dev/stdout")
    assert (result.status, result.out) == (0, data)
    with open(tmp_path / "out", "wb") as out:
        out.write(b"first ")
        out.flush()
        assert start(sockeye, "copy", tmp_path / "b", "/dev/stdout", stdout=out).wait() == 0
    assert (tmp_path / "out").read_bytes() == b"first " + data


def test_standard_input_and_output(run_sockeye, start, sockeye, tmp_path):
    """Each from where it stands, and left where the copy ends: others share it."""
    source = make(tmp_path / "a", 300_000)
    data = source.read_bytes()
    for words, said, got in [
            ("{0} copy - b <a", "", data),
            ("cat a | {0} copy - - | {0} copy - - >b", "", data),
            ("{{ head -c 5 >b; {0} copy - - >>b; {0} copy - - >>b; }} <a", "", data),
            ("{{ {0} copy a -; echo end; }} >b", "", data + b"end\n"),
            ("{{ echo begin; {0} copy a -; }} >b", "", b"begin\n" + data),
            ("cp a b; {0} copy b - >>b", "sockeye: copy: b and /dev/stdout are the same file\n", data)]:
        process = start("sh", "-c", words.format(sockeye), cwd=tmp_path)
        assert process.wait() == (2 if said else 0)
        assert process.stderr == said and (tmp_path / "b").read_bytes() == got, words
        (tmp_path / "b").unlink()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = start(sockeye, "copy", "-", tmp_path / "b", stdin=theirs)
        ours.sendall(data)
    assert process.wait() == 0 and (tmp_path / "b").read_bytes() == data


def test_holes(copy, tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(5 << 30)
        for at in HOLES_AROUND:
            file.seek(at)
            file.write(b"data")
    row = copy(tmp_path / "sparse", tmp_path / "b")
    got = (tmp_path / "b").stat()
    assert (got.st_size, row["bytes"]) == (5 << 30, 5 << 30)
    assert got.st_blocks * 512 < MIB
    with open(tmp_path / "b", "rb") as file:
        for at in HOLES_AROUND:
            file.seek(at - 1)
            assert file.read(6) == b"\0data\0"


def test_another_file_system(copy, tmp_path):
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no other file system here")
    source, there = make(tmp_path / "a", MIB), f"/dev/shm/eye-{os.getpid()}"
    try:
        copy(source, there)
        with open(there, "rb") as file:
            assert digest(file.read()) == digest(source)
    finally:
        os.unlink(there)


def test_a_tree(copy, run_sockeye, tmp_path):
    tree = tmp_path / "tree"
    (tree / "deep/er").mkdir(parents=True)
    make(tree / "deep/er/file", 100_000)
    make(tree / "deep/empty", 0)
    (tree / "link").symlink_to("deep/empty")
    (tree / "deep").chmod(0o500)
    try:
        row = copy("-r", f"{tree}/", tmp_path / "new")
        assert row["files"] == 2
        assert subprocess.run(["diff", "-r", "--no-dereference", tree, tmp_path / "new"], check=False).returncode == 0
        assert stat.S_IMODE((tmp_path / "new/deep").stat().st_mode) == 0o500
        assert (tmp_path / "new/deep").stat().st_mtime_ns == (tree / "deep").stat().st_mtime_ns
        os.mkfifo(tree / "fifo")
        result = run_sockeye("copy", "-r", tree, tmp_path / "other")
        assert result.status == 1 and "fifo: a device, pipe or socket" in result.err
        assert (tmp_path / "other/deep/er/file").exists()
    finally:
        for folder in (tree, tmp_path / "new", tmp_path / "other"):
            (folder / "deep").chmod(0o700)


def test_a_tree_over_another(copy, run_sockeye, tmp_path):
    """What is in both is replaced, links too; a file in the place of a folder has one line that names it."""
    tree, other = tmp_path / "tree", tmp_path / "there/tree"
    for folder, size in ((tree, 10), (other, 20)):
        (folder / "sub").mkdir(parents=True)
        (folder / "link").symlink_to(f"to-{size}")
        make(folder / "sub/file", size)
    make(other / "sub/more", 5)
    copy("-r", tree, tmp_path / "there")
    assert sorted(os.listdir(other)) == ["link", "sub"] and sorted(os.listdir(other / "sub")) == ["file", "more"]
    assert os.readlink(other / "link") == "to-10" and (other / "sub/file").stat().st_size == 10
    make(tmp_path / "file", 1)
    result = run_sockeye("copy", "-r", tree, tmp_path / "file")
    assert (result.status, result.err) == (1, f"sockeye: copy: {tree} to {tmp_path}/file: not a directory\n")


def test_a_tree_is_not_copied_into_itself(run_sockeye, tmp_path):
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    make(tree / "deep/file", 10)
    (tmp_path / "link").symlink_to("tree/deep")
    before = sorted(tmp_path.rglob("*"))
    for to in (tree, tree / "inside", tree / "inside/", tree / "deep", tmp_path / "link", tmp_path):
        result = run_sockeye("copy", "-r", tree, to)
        assert result.status == 2 and "a directory is not copied into itself" in result.err, result
        assert len(result.err.splitlines()) == 1 and sorted(tmp_path.rglob("*")) == before


def test_a_tree_that_a_mount_leads_into_itself(start, sockeye, tmp_path):
    tree = tmp_path / "tree"
    (tree / "mount").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    process = start("unshare", "--mount", "sh", "-c", f"mount --bind {tmp_path}/there {tree}/mount || exit 77; "
                    f"{sockeye} copy -r {tree} {tmp_path}/there/new; echo status $?")
    if process.wait() in (1, 77):
        pytest.skip("this host allows no mounts in a namespace of one's own")
    assert process.stdout == b"status 1\n" and len(process.stderr.splitlines()) == 1
    assert f"{tree}/mount/new: the directory that is being copied to" in process.stderr
    assert sorted(os.listdir(tmp_path / "there/new")) == ["mount"]


def test_refusals(run_sockeye, tmp_path):
    source = make(tmp_path / "a", 10)
    (tmp_path / "hard").hardlink_to(source)
    for words, status, said in [
            ((source, tmp_path / "hard"), 2, "the same file"),
            ((tmp_path / "none", tmp_path / "b"), 1, "none: no such file"),
            ((tmp_path, tmp_path / "b"), 1, "likely cause: a directory is copied with -r\n"),
            ((source, tmp_path / "none/b"), 1, "no such file"),
            ((source, "/dev/full"), 1, "/dev/full: no space left"),
            ((source, ""), 2, "an empty name"),
            (("-", tmp_path), 2, "no name for a file"),
            (("--json", source, "-"), 2, "both go to standard output"),
            ((source,), 2, "too few arguments")]:
        result = run_sockeye("copy", *words)
        assert result.status == status and said in result.err, result
    assert source.read_bytes() == payload(10) and sorted(os.listdir(tmp_path)) == ["a", "hard"]


def test_verbose_says_which_way(run_sockeye, tmp_path):
    source = make(tmp_path / "a", 1000)
    result = run_sockeye("copy", "-v", source, tmp_path / "b")
    assert result.err.startswith("sockeye: copy: 1 file, 1000 bytes\n  by ")
    assert any(f"  by {step}: 1000 bytes\n" in result.err for step in STEPS)


def written(process):
    with open(f"/proc/{process.pid}/io", encoding="ascii") as io:
        return "wchar: 0\n" not in io.read()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_it_leaves_the_old_file(signum, start, sockeye, tmp_path):
    """It waits in the middle of a pipe; what it had is gone with it."""
    (tmp_path / "b").write_bytes(b"old")
    process = start(sockeye, "copy", "/dev/stdin", tmp_path / "b")
    process.send(payload(MIB))
    eventually(lambda: written(process), "bytes written")
    process.kill(signum)
    assert process.wait() == 128 + signum
    assert (tmp_path / "b").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b"] or signum == signal.SIGKILL


def test_a_full_disk(start, sockeye, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    make(tmp_path / "big", 3 * MIB)
    script = (f"mount -t tmpfs -o size=1m none {disk} || exit 77; echo old >{disk}/b; "
              f"{sockeye} copy {tmp_path}/big {disk}/b; echo status $?; ls -A {disk}; cat {disk}/b")
    process = start("unshare", "--mount", "sh", "-c", script)
    if process.wait() in (1, 77):
        pytest.skip("this host allows no mounts in a namespace of one's own")
    assert process.stdout == b"status 1\nb\nold\n"
    assert f"{disk}/b: no space left on device" in process.stderr


def test_progress_is_for_terminals(sockeye, tmp_path):
    """A terminal sees how far it is; of a file, whose size is known, how long it will take too."""
    with open(tmp_path / "a", "wb") as file:
        file.truncate(256 * MIB)
    for words, moves, line in [
            (("-", "b"), lambda child: child.stdin.write(payload(1000)),
             rb"\r\x1b\[K/dev/stdin: [0-9.]+ \w+, [0-9.]+ \w+/s\r"),
            (("a", "-"), lambda child: child.stdout.read(1000),
             rb"\r\x1b\[Ka: [0-9.]+ \w+ of 268 MB \([0-9]+ %\), [0-9.]+ \w+/s, [0-9]+ s left\r")]:
        main, sub = os.openpty()
        child = subprocess.Popen([sockeye, "copy", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=sub, bufsize=0, cwd=tmp_path)
        os.close(sub)
        os.set_blocking(main, False)
        said, end = b"", time.monotonic() + DEADLINE_S
        while not re.search(line, said):
            assert time.monotonic() < end and moves(child), said
            with contextlib.suppress(BlockingIOError):
                said += os.read(main, 4096)
        child.stdin.close()
        child.stdout.close()
        child.wait()
        os.close(main)
