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

# Where tshark says something else, and why we do not.
KNOWN = {
    ("dns", 4, "dns.answers.name"): "tshark takes the name of an SRV record apart",
    ("dns", 6, "dns.questions.class"): "mDNS's bit for a unicast answer is part of the field",
    ("dns", 8, "dns.questions.name"): "a dot in a label and bytes beyond ASCII stand as RFC 1035 writes them",
    ("ip-options", 3, "ip.dst"): "the header's own destination, not the route's last",
    ("ip-options", 3, "ip.options.route"): "the option's own addresses, not the header's destination",
    ("ip-options", 4, "ip.options.pointer"): "a time stamp option stands as data",
    ("malformed", 1, "payload.len"): "the whole header that was cut, not what tshark has left of it",
    ("malformed", 1, "payload.text"): "the same",
    ("malformed", 11, "ip.len"): "the field as it is on the wire, 0, not what it would be",
    ("nested", 2, "payload.len"): "beyond eight tunnels nothing is read",
    ("nested", 2, "payload.text"): "the same",
    ("quic", 2, "quic.type"): "as version 1 numbers it, for version 2 too",
    ("quic", 4, "quic.type"): "version negotiation has a number too",
    ("quic", 4, "quic.type_text"): "and a word",
    ("tcp", 8, "tcp.options.kind"): "MPTCP has a kind too",
    ("tcp", 8, "tcp.options.kind_text"): "and a word",
}
# Fields that are not compared, since tshark has them in another form or not at all; the golden files have them.
NOT_COMPARED = {
    "dhcp.options.data", "dns.answers.rdata", "frame.link", "ip.options.data", "ip.options.type_text", "ip6.ext.len",
    "ip6.ext.options.type_text", "ip6.ext.type", "ip6.ext.type_text", "tcp.options.data", "tcp.options.subtype",
    "tls.records.handshakes.cipher_suite", "tls.selected_version",
}


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
    count, wrong = 0, []
    by_link = {}
    for path in golden.CAPTURES:
        by_link.setdefault(path.read_bytes()[:24], []).append(path)
    for header, paths in by_link.items():  # a file for each link type: tshark takes a second to start
        places = [(path.stem, number) for path in paths for number, _ in enumerate(records(path), 1)]
        merged = tmp_path / "merged.pcap"
        merged.write_bytes(header + b"".join(record for path in paths for record in records(path)))
        compared, differences = differential.compare(merged, sockeye)
        count += compared
        wrong += [(*places[number - 1], field, text) for number, field, text in differences]
    assert {row[:3] for row in wrong} == set(KNOWN), wrong
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
