"""sniff on a wire between two test hosts, beside others: traffic of ping, curl and arping, live and in the file that
was written, and golden captures that tcpreplay sends. What tshark says of them is held against it."""

import json
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys

import pytest

import processes

WIRE = pathlib.Path(__file__).resolve().parents[1] / "wire"
sys.path.insert(0, str(WIRE))

import differential  # noqa: E402
import golden  # noqa: E402

FIRST, LAST = "first packet", "the last one"  # of sixteen bytes at most, as ping takes them


def do(host, *words):
    return subprocess.run([*host.enter, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def wants(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


@pytest.fixture
def sniff(start, sockeye, netns, needs):
    """sniff(*words) starts it on the first of two test hosts and waits until it listens."""
    needs("packet", "capture")

    def run(*words):
        verify = () if "-w" in words else ("--verify",)
        process = start(*netns[0].enter, sockeye, "sniff", *verify, *words)
        process.wait_stderr(r"listening on \S+, link type \S+\n")
        return process
    return run


def mark(netns, text):
    do(netns[0], "ping", "-c", "1", "-s", "48", "-p", text.encode().hex(), netns[1].ip4)


def between_marks(packets):
    """The packets from the first mark to the last one's answer, without what differs from one capture to another."""
    marks = [[number for number, packet in enumerate(packets) if text in packet.get("payload", {}).get("text", "")]
             for text in (FIRST, LAST)]
    chosen = packets[marks[0][0]:marks[1][-1] + 1]
    for packet in chosen:
        del packet["frame"]["number"], packet["frame"]["time"]
    return chosen


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_what_others_send_is_seen_as_tshark_sees_it(sniff, start, netns, sockeye, tmp_path):
    wants("tshark", "curl", "arping", "ping")
    a, b = netns
    (tmp_path / "index.html").write_text("Hello World\n")
    server = start(*b.enter, "python3", "-u", "-m", "http.server", "8000", "--bind", "::", "--directory",
                   tmp_path)
    server.wait_stdout("Serving HTTP")
    out = tmp_path / "out.pcap"
    live, file = sniff("-i", a.interface, "--json"), sniff("-i", a.interface, "-w", out)
    mark(netns, FIRST)
    do(a, "ping", "-c", "2", "-i", "0.01", b.ip6)
    do(a, "arping", "-c", "1", "-I", a.interface, b.ip4)
    do(a, "curl", "-s", "-o", "/dev/null", f"http://{b.ip4}:8000/", f"http://[{b.ip6}]:8000/none")
    do(a, "bash", "-c", f"echo x > /dev/udp/{b.ip4}/9")  # where nobody is: an ICMP error with its quote
    mark(netns, LAST)
    live.wait_stdout(rf"{LAST}(?:.|\n)*{LAST}")
    processes.eventually(lambda: out.read_bytes().count(LAST.encode()) >= 2, "the last packet in the file")
    for process in (live, file):
        assert process.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert ", 0 dropped by the kernel" in process.stderr
    read = subprocess.run([sockeye, "sniff", "-q", "--json", "--verify", "-r", out], check=True,
                          stdout=subprocess.PIPE).stdout
    seen = between_marks(objects(live.stdout))
    assert seen == between_marks(objects(read))
    protos = {proto for packet in seen for proto in packet}
    assert {"arp", "icmp", "icmp6", "ip", "ip6", "tcp", "udp", "http", "quoted"} <= protos
    told = differential.compare(out, sockeye)
    assert not told.wrong
    assert told.count > 1000


def test_a_golden_capture_over_the_wire(sniff, netns, tmp_path):
    wants("tcpreplay")
    ethernet = [path for path in golden.CAPTURES if struct.unpack_from("<I", path.read_bytes(), 20)[0] == 1]
    given = tmp_path / "given.pcap"
    given.write_bytes(ethernet[0].read_bytes()[:24] + b"".join(path.read_bytes()[24:] for path in ethernet))
    want = [packet for path in ethernet for packet in objects(golden.expected(f"{path.stem}.json"))]
    process = sniff("-i", netns[0].interface, "--json", "-c", str(len(want)), "ether src 02:00:00:00:00:02 or "
                    "f0:25:72:52:f5:ca or 00:00:00:00:00:00")
    do(netns[1], "tcpreplay", "--topspeed", "-i", netns[1].interface, given)
    assert process.wait() == 0, process
    got = objects(process.stdout)
    for number, (mine, theirs) in enumerate(zip(got, want)):
        for packet in (mine, theirs):
            del packet["frame"]["time"], packet["frame"]["number"]
        assert mine == theirs, number
    assert len(got) == len(want)


def test_a_filter_by_a_tag_that_the_kernel_took_out(sniff, netns):
    wants("tcpreplay")
    process = sniff("-i", netns[0].interface, "--fields", "vlan,ip.dst", "-c", "2", "vlan 5")
    do(netns[1], "tcpreplay", "--topspeed", "-i", netns[1].interface, WIRE / "captures/vlan.pcap")
    assert (process.wait(), process.stdout) == (0, b"5\t10.9.0.2\n5,7\t10.9.0.2\n")


def test_a_file_of_all_interfaces_keeps_them_apart(sniff, netns, sockeye, tmp_path):
    out = tmp_path / "out.pcap"
    process = sniff("-i", "any", "-w", out, "-c", "4", "icmp")
    do(netns[0], "ping", "-c", "1", "127.0.0.1")
    do(netns[0], "ping", "-c", "1", netns[1].ip4)
    assert process.wait() == 0
    assert struct.unpack_from("<I", out.read_bytes()) == (0xa1b23c4d,)  # times in nanoseconds
    read = subprocess.run([sockeye, "sniff", "-q", "--json", "-r", out], check=True, stdout=subprocess.PIPE).stdout
    indexes = [packet["sll"]["ifindex"] for packet in objects(read)]
    assert indexes[:2] == [1, 1] and indexes[2] == indexes[3] > 1
    assert {packet["frame"]["link"] for packet in objects(read)} == {"sll2"}


def test_names_are_looked_up_after_privileges_are_given_up(sniff, netns):
    try:
        name = socket.gethostbyaddr("127.0.0.1")[0]
    except OSError:
        pytest.skip("127.0.0.1 has no name here")
    for words, host in (((), "127.0.0.1"), (("--resolve",), name)):
        process = sniff("-v", *words, "-i", "lo", "-c", "1", "--time", "none", "icmp")
        assert "gave up capabilities" in process.stderr
        do(netns[0], "ping", "-c", "1", "127.0.0.1")
        assert process.wait() == 0
        assert process.stdout.decode().startswith(f"ICMP {host} > {host} echo request")
