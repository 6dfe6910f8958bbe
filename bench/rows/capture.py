"""Capture files: to lines, to JSON, to columns, and filtered into another file."""

import os
import struct

from table import Goal, Rival, Row, Run, bare, sockeye

# Without it tcpdump looks at /etc/localtime for every packet, and would be told slower than it is.
os.environ.setdefault("TZ", "UTC0")

PACKETS = 1_000_000
FEW = 50_000  # for those that are slow


def checksum(head):
    total = sum(struct.unpack("!10H", head))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def segment(flow):
    """A frame of TCP, as a flow of its number has them."""
    payload = bytes(flow * 37 % 120)
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 52 + len(payload), flow & 0xffff, 0x4000, 64, 6, 0, 0x0a000000 + flow,
                       0xc0a80001)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    tcp = struct.pack("!HHIIBBHHHBBBBII", 1024 + flow % 60000, 443 if flow % 2 else 8000, 12345 + flow, 6789, 0x80,
                      0x18, 502, 0x1234, 0, 1, 1, 8, 10, 1000 + flow, 2000)
    return bytes(range(12)) + b"\x08\x00" + head + tcp + payload


def write_capture(path, count, flows):
    if os.path.exists(path):
        return
    frames = [segment(flow) for flow in range(flows)]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for number in range(count):
            frame = frames[number % flows]
            file.write(struct.pack("<IIII", 1_700_000_000 + number // 100_000, number * 10 % 1_000_000, len(frame),
                                   len(frame)) + frame)


def prepare(flows, count=PACKETS):
    return lambda folder: write_capture(os.path.join(folder, f"{flows}-{count}.pcap"), count, flows)


def given(flows, count=PACKETS):
    return f"{{folder}}/{flows}-{count}.pcap"


def tcpdump(name, flows, *words):
    return Rival(name, ["tcpdump", "-nn", "-r", given(flows), *words], "tcpdump")


def ours(name, flows, *words):
    return sockeye(name, "sniff", "-q", "-r", given(flows), *words)


def rows_of(flows):
    """Nanoseconds a packet, at a number of flows."""
    run = Run(PACKETS, 1e9, prepare(flows))
    walker = bare("bare walker", "bare_packets", given(flows))
    dump = tcpdump("tcpdump", flows)
    at = f"{flows} flows"
    return [
        Row(f"lines-{flows}", f"a capture file to lines, {at}", "CPU ns per packet", run,
            [ours("sockeye", flows), walker, dump], Goal(0.2, ("tcpdump",))),
        Row(f"json-{flows}", f"a capture file to JSON, {at}", "CPU ns per packet", run,
            [ours("sockeye", flows, "--json"), dump], Goal(600)),
        Row(f"fields-{flows}", f"a capture file to columns, {at}", "CPU ns per packet", run,
            [ours("sockeye", flows, "--fields", "frame.time,ip.src,ip.dst,tcp.dst_port"), dump],
            Goal(0.2, ("tcpdump",))),
    ]


ROWS = [
    *rows_of(100), *rows_of(40_000),
    Row("tshark", "a capture file to lines and to JSON, beside tshark", "CPU ns per packet",
        Run(FEW, 1e9, prepare(100, FEW)),
        [sockeye("sockeye", "sniff", "-q", "-r", given(100, FEW)),
         sockeye("sockeye --json", "sniff", "-q", "--json", "-r", given(100, FEW)),
         Rival("tshark", ["tshark", "-n", "-r", given(100, FEW)], "tshark")], Goal(0.05, ("tshark",))),
    Row("copy-filtered", "a filtered copy of a capture file", "CPU ns per packet", Run(PACKETS, 1e9, prepare(100)),
        [ours("sockeye", 100, "-w", "{folder}/out.pcap", "port", "8000"),
         tcpdump("tcpdump", 100, "-w", "{folder}/out.pcap", "port", "8000")], Goal(0.33, ("tcpdump",))),
]
