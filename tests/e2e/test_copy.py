"""copy: one ladder for files of every kind, and a copy that is whole or not there."""

import json
import os
import signal
import stat
import subprocess

import pytest

from peers import digest, payload
from processes import eventually

MIB = 1 << 20
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
    for source in ("/proc/cpuinfo", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"):
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


def test_holes(copy, tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(5 << 30)
        for at in (MIB, 3 << 30):
            file.seek(at)
            file.write(b"data")
    row = copy(tmp_path / "sparse", tmp_path / "b")
    got = (tmp_path / "b").stat()
    assert (got.st_size, row["bytes"]) == (5 << 30, 5 << 30)
    assert got.st_blocks * 512 < MIB
    with open(tmp_path / "b", "rb") as file:
        for at in (MIB, 3 << 30):
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
        result = run_sockeye("copy", "-r", tree, tree / "inside")
        assert result.status == 1 and "being copied to" in result.err
    finally:
        for folder in (tree, tmp_path / "new", tmp_path / "other"):
            (folder / "deep").chmod(0o700)


def test_refusals(run_sockeye, tmp_path):
    source = make(tmp_path / "a", 10)
    (tmp_path / "hard").hardlink_to(source)
    for words, status, said in [
            ((source, tmp_path / "hard"), 2, "the same file"),
            ((tmp_path / "none", tmp_path / "b"), 1, "none: no such file"),
            ((tmp_path, tmp_path / "b"), 1, "-r"),
            ((source, tmp_path / "none/b"), 1, "no such file"),
            ((source, "/dev/full"), 1, "/dev/full: no space left"),
            ((source, ""), 2, "an empty name"),
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
    """A terminal sees how far it is; a pipe sees nothing."""
    main, sub = os.openpty()
    process = subprocess.Popen([sockeye, "copy", "/dev/stdin", tmp_path / "b"], stdin=subprocess.PIPE, stderr=sub)
    os.close(sub)
    said = b""
    while b"/s" not in said:
        process.stdin.write(payload(1000))
        process.stdin.flush()
        os.set_blocking(main, False)
        try:
            said += os.read(main, 4096)
        except BlockingIOError:
            pass
    process.stdin.close()
    assert process.wait() == 0
    os.close(main)
    assert b"stdin: " in said
