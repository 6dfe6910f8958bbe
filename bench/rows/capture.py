"""Packets: capture files to lines, to JSON, to columns and into another file; and a flooded wire."""

import contextlib
import dataclasses
import os
import random
import re
import signal
import struct
import subprocess
import time

import measure
from table import Goal, Rival, Row, Run, bare, sockeye

# Without it tcpdump looks at /etc/localtime for every packet, and would be told slower than it is.
os.environ.setdefault("TZ", "UTC0")

PACKETS = 2_000_000
FEW = 50_000  # for those that are slow


TEXT = b"<p>What stands in the middle of a stream, \"as text\",\r\n and begins no message of its own.</p>\r\n" * 2


def checksum(head):
    total = sum(struct.unpack("!10H", head))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def segment(flow):
    """A frame of TCP, as a flow of its number has them."""
    size = flow * 37 % 120
    payload = TEXT[:size] if flow % 2 == 0 else random.Random(flow).randbytes(size)  # as of a page, and enciphered
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 52 + len(payload), flow & 0xffff, 0x4000, 64, 6, 0, 0x0a000000 + flow,
                       0xc0a80001)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    tcp = struct.pack("!HHIIBBHHHBBBBII", 1024 + flow % 60000, 443 if flow % 2 else 8000, 12345 + flow, 6789, 0x80,
                      0x18, 502, 0x1234, 0, 1, 1, 8, 10, 1000 + flow, 2000)
    return bytes(range(12)) + b"\x08\x00" + head + tcp + payload


def write_capture(path, count, flows):
    if os.path.exists(path):
        return
    frames = [struct.pack("<II", len(frame), len(frame)) + frame for frame in map(segment, range(flows))]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for number in range(count):
            file.write(struct.pack("<II", 1_700_000_000 + number // 100_000, number * 10 % 1_000_000)
                       + frames[number % flows])


def prepare(flows, count=PACKETS):
    return lambda folder: write_capture(os.path.join(folder, f"{flows}-{count}.pcap"), count, flows)


def given(flows, count=PACKETS):
    return f"{{folder}}/{flows}-{count}.pcap"


def tcpdump(name, flows, *words):
    return Rival(name, ["tcpdump", "-nn", "-r", given(flows), *words], "tcpdump")


def ours(name, flows, *words):
    return sockeye(name, "sniff", "-q", "-r", given(flows), *words)


def walker(flows):
    return bare("bare walker", "bare_packets", given(flows))


def lines_of(flows):
    return Row(f"lines-{flows}", f"a capture file to lines, {flows} flows", "CPU ns per packet",
               Run(PACKETS, 1e9, prepare(flows)),
               [ours("sockeye", flows), walker(flows), tcpdump("tcpdump", flows)],
               Goal(0.2, ("tcpdump",)))


def rows_of(flows):
    """Nanoseconds a packet, at a number of flows."""
    run, at = Run(PACKETS, 1e9, prepare(flows)), f"{flows} flows"
    return [
        Row(f"json-{flows}", f"a capture file to JSON, {at}", "CPU ns per packet", run,
            [ours("sockeye", flows, "--json"), walker(flows), tcpdump("tcpdump", flows)], Goal(600)),
        Row(f"fields-{flows}", f"a capture file to columns, {at}", "CPU ns per packet", run,
            [ours("sockeye", flows, "--fields", COLUMNS), walker(flows), tcpdump("tcpdump", flows)],
            Goal(0.2, ("tcpdump",))),
    ]


COLUMNS = "frame.time,ip.src,ip.dst,tcp.dst_port"
THEIR_COLUMNS = ("-T", "fields", "-e", "frame.time", "-e", "ip.src", "-e", "ip.dst", "-e", "tcp.dstport")


def beside_tshark(flows, name, what, words, theirs):
    rivals = {" ".join(("tshark", *their[:2])): their for their in theirs}
    return Row(f"tshark-{name}-{flows}", f"a capture file to {what}, beside tshark, {flows} flows", "CPU ns per packet",
               Run(FEW, 1e9, prepare(flows, FEW)),
               [sockeye("sockeye", "sniff", "-q", *words, "-r", given(flows, FEW)),
                *[Rival(title, ["tshark", "-n", "-r", given(flows, FEW), *their], "tshark")
                  for title, their in rivals.items()]], Goal(0.05, tuple(rivals)))


def rows_beside_tshark(flows):
    return [beside_tshark(flows, "lines", "lines", (), ((),)),
            beside_tshark(flows, "json", "JSON", ("--json",), (("-T", "json"), ("-T", "ek"))),
            beside_tshark(flows, "fields", "columns", ("--fields", COLUMNS), (THEIR_COLUMNS,))]


# ---- a flooded wire ----

DROPPED = re.compile(r"(\d+) (?:packets )?dropped by (?:the )?kernel")
CAPTURED = re.compile(r"(\d+) packets? captured")


def tell(*words):
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise measure.Failed(f"{' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def cable():
    """Two network namespaces joined by veth(4): the words to put before a command in each. The interface of both is
    "wire"."""
    names = [f"bench{os.getpid()}{side}" for side in "ab"]
    enter = [["nsenter", f"--net=/run/netns/{name}"] for name in names]
    made = []
    try:
        for name in names:
            tell("ip", "netns", "add", name)
            made.append(name)
        tell("ip", "link", "add", "wire", "netns", names[0], "type", "veth", "peer", "name", "wire", "netns", names[1])
        for words in enter:
            tell(*words, "ip", "link", "set", "wire", "up")
        yield enter
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def until_idle(pid):
    """Waits until a process has used no CPU for a while, and returns what it has used."""
    used, found = -1.0, 0.0
    while found - used > 0.0005:
        used = found
        time.sleep(0.3)
        found = measure.cpu_seconds(pid)
    return found


@dataclasses.dataclass
class Watch:
    """A command that watches a wire on which so many packets of a size pass: its CPU microseconds for each."""
    packets: int
    rate: int
    size: int

    def measure(self, context, rival):
        with cable() as (a, b), measure.on_cpu(measure.cpus()[0]), subprocess.Popen(
                [*a, *context.words(rival)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True) as process:
            try:
                said = ""
                while "listening on" not in said:
                    line = process.stderr.readline()
                    if not line:
                        raise measure.Failed(f"{rival.words[0]} does not listen: {said.strip()}")
                    said += line
                before = until_idle(process.pid)
                with measure.on_cpu(measure.cpus()[1]):
                    tell(*b, f"{context.build}/bench/flood", "wire", str(self.packets), str(self.rate), str(self.size))
                used = until_idle(process.pid) - before
                process.send_signal(signal.SIGINT)
                said = process.communicate()[1]
            finally:
                process.kill()
        captured, dropped = CAPTURED.search(said), DROPPED.search(said)
        if not captured or not dropped or int(captured[1]) == 0:
            raise measure.Failed(f"{rival.words[0]} saw nothing: {said.strip()}")
        return used / int(captured[1]) * 1e6, {"dropped": int(dropped[1]) / self.packets}


def live(name, what, size, rate, words, goal):
    return Row(name, f"a wire with {rate} packets of {size} bytes a second, {what}", "CPU us per packet",
               Watch(rate * 2, rate, size),
               [sockeye("sockeye", "sniff", "-i", "wire", *words),
                Rival("tcpdump", ["tcpdump", "-nn", "-Z", "root", "-i", "wire", *words], "tcpdump")], goal,
               {"dropped": Goal(1, ("tcpdump",))})


TO_FILE = ("-w", "{folder}/live.pcap")
ROWS = [
    *map(lines_of, (100, 1000, 10_000, 40_000)), *rows_of(100), *rows_of(40_000),
    *rows_beside_tshark(100), *rows_beside_tshark(40_000),
    Row("copy-whole", "a copy of a capture file", "CPU ns per packet", Run(PACKETS, 1e9, prepare(100)),
        [ours("sockeye", 100, "-w", "{folder}/out.pcap"), tcpdump("tcpdump", 100, "-w", "{folder}/out.pcap")],
        Goal(0.33, ("tcpdump",))),
    Row("copy-filtered", "a filtered copy of a capture file", "CPU ns per packet", Run(PACKETS, 1e9, prepare(100)),
        [ours("sockeye", 100, "-w", "{folder}/out.pcap", "port", "8000"),
         tcpdump("tcpdump", 100, "-w", "{folder}/out.pcap", "port", "8000")], Goal(0.33, ("tcpdump",))),
    live("live-file", "to a file", 60, 300_000, TO_FILE, Goal(1, ("tcpdump",))),
    live("live-file-large", "to a file", 1514, 60_000, TO_FILE, Goal(1, ("tcpdump",))),
    live("live-lines", "to lines", 60, 300_000, (), Goal(0.6)),
    live("live-lines-large", "to lines", 1514, 60_000, (), Goal(0.6)),
]
