"""Dissectors, by the golden captures of tests/wire: what was written down for each packet, and what tshark,
which others wrote, says of it field by field. differential.py takes any other capture file too."""

import json
import pathlib
import random
import shutil
import struct
import sys

import pytest

WIRE = pathlib.Path(__file__).resolve().parents[1] / "wire"
sys.path.insert(0, str(WIRE))

import differential  # noqa: E402
import golden  # noqa: E402

# Fields that are not compared, since tshark has none for them; the golden files have them.
NOT_COMPARED = set()


@pytest.mark.parametrize("capture", [path.name for path in golden.CAPTURES])
def test_golden(capture, run_sockeye):
    for name, _, flags in (row for row in golden.ROWS if row[1] == capture):
        result = run_sockeye("sniff", "--quiet", *flags, "-r", WIRE / "captures" / capture)
        assert (result.status, result.err) == (0, "")
        got, want = result.out.splitlines(), golden.expected(name).splitlines()
        if name.endswith(".json"):
            for number, (mine, theirs) in enumerate(zip(got, want), 1):
                assert json.loads(mine) == json.loads(theirs), f"packet {number}"
        assert got == want, name


def columns_of(value, path=""):
    """Pairs of a path and its values, all of them where lists are on the way, as --fields gives them."""
    if isinstance(value, dict):
        yield from (pair for name, below in value.items() for pair in columns_of(below, f"{path}.{name}"))
    elif isinstance(value, list):
        yield from (pair for element in value for pair in columns_of(element, path))
    elif value != "":
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield path[1:], "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def test_columns_are_the_values_of_the_json(run_sockeye):
    """Of every golden packet, at every path that any packet of its file has."""
    for path in golden.CAPTURES:
        want = []
        for line in golden.expected(f"{path.stem}.json").splitlines():
            row = {}
            for name, text in columns_of(json.loads(line)):
                row.setdefault(name, []).append(text)
            want.append(row)
        # A payload's text has other escapes, and "unfinished" and "none" are what a checksum is.
        names = sorted({name for row in want for name in row} - {"v", "payload.text"})
        names = [name for name in names if not name.endswith(("checksum_ok", ".payload.text"))]
        for at in range(0, len(names), 64):
            some = names[at:at + 64]
            result = run_sockeye("sniff", "-q", "--verify", "--fields", ",".join(some), "-r", path)
            assert (result.status, result.err) == (0, ""), path
            got = [line.split("\t") for line in result.out.decode().splitlines()]
            assert len(got) == len(want)
            for number, (row, texts) in enumerate(zip(want, got), 1):
                for name, text in zip(some, texts):
                    assert text == ",".join(row.get(name, [])), f"{path.stem}, packet {number}: {name}"


def test_captures_are_as_their_script_makes_them():
    pytest.importorskip("scapy")
    import make_captures  # here, since scapy takes its time
    for name, link, packets in make_captures.CAPTURES:
        assert (WIRE / "captures" / f"{name}.pcap").read_bytes() == make_captures.pcap(link, packets), name


def records(path):
    """The packets of a file of make_captures.py."""
    data = path.read_bytes()
    at = 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at:at + 16 + size]
        at += 16 + size


def test_agrees_with_tshark(sockeye, tmp_path):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    count, wrong, reasons = 0, [], set()
    by_link = {}
    for path in golden.CAPTURES:
        by_link.setdefault(path.read_bytes()[:24], []).append(path)
    for header, paths in by_link.items():  # a file for each link type: tshark takes a second to start
        places = [(path.stem, number) for path in paths for number, _ in enumerate(records(path), 1)]
        merged = tmp_path / "merged.pcap"
        merged.write_bytes(header + b"".join(record for path in paths for record in records(path)))
        told = differential.compare(merged, sockeye)
        count += told.count
        wrong += [(*places[number - 1], field, text) for number, field, text in told.wrong]
        reasons.update(why for _, _, why in told.chosen)
    assert not wrong
    assert reasons == {why for _, _, why in differential.CHOICES}, "a reason that nothing has"
    assert count > 4000


def test_every_field_is_compared_with_tshark():
    seen = {path for row in golden.ROWS if row[0].endswith(".json") for line in golden.expected(row[0]).splitlines()
            for path in differential.paths(json.loads(line))}
    compared = {f"{name}.{way}" for name, rows in differential.FIELDS.items() for path, _, _ in rows
                for way in path.split()}
    assert seen - compared == NOT_COMPARED


def test_bytes_at_random(run_sockeye, tmp_path):
    """Golden packets with bytes changed at random: each frame gives a line of JSON, whatever it holds."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for path in golden.CAPTURES[rng.randrange(4)::4]:
        out = [path.read_bytes()[:24]]
        for record in records(path):
            for _ in range(40):
                changed = bytearray(record)
                for _ in range(rng.randrange(1, 6)):
                    changed[rng.randrange(16, len(changed))] = rng.randrange(256)
                out.append(bytes(changed))
        mutated = tmp_path / path.name
        mutated.write_bytes(b"".join(out))
    for path in sorted(tmp_path.glob("*.pcap")):
        result = run_sockeye("sniff", "--json", "--quiet", "--verify", "-r", path)
        assert (result.status, result.err) == (0, ""), f"seed {seed}, {path.name}: {result.err}"
        lines = result.out.splitlines()
        assert len(lines) == 40 * len(list(records(WIRE / "captures" / path.name))), f"seed {seed}, {path.name}"
        for number, line in enumerate(lines, 1):
            assert json.loads(line)["frame"]["number"] == number, f"seed {seed}, {path.name}"
