"""Transfers for longer: fifty kills, ten thousand files."""

import random

from test_transfer import MIB, cut_and_resume, end_of, make, receiver


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
