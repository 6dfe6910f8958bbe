"""Transfers for longer: fifty kills, ten thousand files, a gigabyte; five gigabytes encrypted and hashed."""

import random
import subprocess

import pytest

from peers import payload
from test_transfer import ENDPOINTS, MIB, cut_and_resume, end_of, make, receiver


def test_fifty_kills(start_sockeye, tmp_path):
    """Either side, after any number of bytes: nothing under the final name, and the next one goes on."""
    inbox = tmp_path / "in"
    inbox.mkdir()
    make(tmp_path / "big", 8 * MIB)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    resumed = [cut_and_resume(rng, start_sockeye, inbox, tmp_path, 8 * MIB) for _ in range(50)]
    assert any(resumed) and all(bytes_ % MIB == 0 for bytes_ in resumed)


def test_ten_thousand_files(start_sockeye, run_sockeye, tmp_path):
    inbox, tree = tmp_path / "in", tmp_path / "many"
    inbox.mkdir()
    tree.mkdir()
    for number in range(10_000):
        (tree / f"{number}").write_bytes(b"%d" % number)
    server = receiver(start_sockeye, inbox)
    assert run_sockeye("send", "-q", tree, end_of(server, "unix"), timeout=60).status == 0
    assert server.wait() == 0
    names = list((inbox / "many").iterdir())
    assert len(names) == 10_000 and all(path.read_bytes() == path.name.encode() for path in names)


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_a_gigabyte(kind, start_sockeye, tmp_path):
    """Its holes are few, so that nearly all of it goes over the stream; compared by the system's own cmp(1)."""
    inbox = tmp_path / "in"
    inbox.mkdir()
    piece = payload(MIB)
    with open(tmp_path / "big", "wb") as file:
        for number in range(1024):
            file.write(piece[number:] + piece[:number])
    server = receiver(start_sockeye, inbox, "--no-sync", kind=kind)
    sender = start_sockeye("send", "-q", tmp_path / "big", end_of(server, kind))
    assert (sender.wait(), server.wait()) == (0, 0)
    assert sender.wait_event("closed")["bytes"][1] > 1 << 30
    assert subprocess.run(["cmp", tmp_path / "big", inbox / "big"], check=False).returncode == 0
    for path in (tmp_path / "big", inbox / "big"):
        path.unlink()


def test_five_gigabytes(sockeye, tmp_path):
    """Past what 32 bits count, and as sha256sum(1) has it."""
    script = '"$0" encrypt --key-file "$1" | "$0" decrypt --key-file "$1" | wc -c && "$0" hash "$2"'
    (tmp_path / "key").write_bytes(bytes(range(32)))
    (tmp_path / "key").chmod(0o600)
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate((5 << 30) + 1)
    with open(tmp_path / "sparse", "rb") as file:
        said = subprocess.run(["bash", "-o", "pipefail", "-c", script, sockeye, tmp_path / "key", tmp_path / "sparse"],
                              stdin=file, check=True, capture_output=True).stdout.split()
    assert said[:2] == [b"5368709121", b"edcddf01fc829bf06be2b5393a9793cdd43598a0fd483c57f41a9b58183f6e33"]
