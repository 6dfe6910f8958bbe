"""sniff on capture files: pcap and pcapng in every byte order and unit of time, files that are not what they
should be, filters, the forms of output, and files to write."""

import contextlib
import csv
import gzip
import io
import json
import os
import re
import signal
import struct

import pytest

import processes

SECOND = 1_700_000_000
ETHERNET, RAW, IP4 = 1, 101, 228

MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ip4(payload, proto=6, src="10.0.0.1", dst="10.0.0.2"):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0x4000, 64, proto, 0,
                       bytes(map(int, src.split("."))), bytes(map(int, dst.split("."))))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(payload=b"", sport=38352, dport=8000, flags=0x18):
    return struct.pack("!HHIIBBHHH", sport, dport, 2907801591, 398995857, 5 << 4, flags, 342, 0xfe76, 0) + payload


def ether(payload, kind=0x0800):
    return MAC_B + MAC_A + struct.pack("!H", kind) + payload


GET = ether(ip4(tcp(b"GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n")))
SYN = ether(ip4(tcp(sport=1, dport=80, flags=2)))
LINE = ("TCP  10.0.0.1:1 > 10.0.0.2:80 [S] seq 2907801591 win 342 len 0")


def pcap(*packets, order="<", magic=0xa1b2c3d4, link=ETHERNET, extra=b""):
    """Packets are bytes, or (fraction of the second, bytes, length on the wire)."""
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    for number, packet in enumerate(packets):
        fraction, data, size = packet if isinstance(packet, tuple) else (number, packet, len(packet))
        out += struct.pack(order + "IIII", SECOND, fraction, len(data), size) + extra + data
    return out


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order="<"):
    return block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))


def interface(order="<", link=ETHERNET, snaplen=0, options=b""):
    return block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + options)


def enhanced(data, units=0, number=0, order="<"):
    return block(order, 6, struct.pack(order + "IIIII", number, units >> 32, units & 0xffffffff, len(data), len(data))
                 + data)


@pytest.fixture
def sniff(run_sockeye, tmp_path):
    """sniff(capture, *words) reads a capture, bytes, from a file; returns the Result."""
    def run(capture, *words, **options):
        path = tmp_path / "given.pcap"
        path.write_bytes(capture)
        return run_sockeye("sniff", "-r", path, *words, **options)
    return run


def lines_of(result):
    assert result.status == 0, result
    return result.out.decode().splitlines()


def objects_of(result):
    return [json.loads(line) for line in lines_of(result)]


# ---- what is read ----

@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic, digits", [(0xa1b2c3d4, "000005000"), (0xa1b23c4d, "000000005")])
def test_pcap_of_either_order_and_unit(sniff, order, magic, digits):
    frames = objects_of(sniff(pcap((5, SYN, 99), order=order, magic=magic), "--json"))
    assert frames[0]["frame"] == {"number": 1, "time": f"2023-11-14T22:13:20.{digits}Z", "len": 99,
                                  "caplen": len(SYN), "link": "ethernet"}
    assert frames[0]["tcp"]["dst_port"] == 80


def test_pcap_of_kuznetzov(sniff):
    capture = pcap(SYN, SYN, magic=0xa1b2cd34, extra=bytes(8))
    assert [frame["tcp"]["src_port"] for frame in objects_of(sniff(capture, "--json"))] == [1, 1]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_several_interfaces_and_units(sniff, order):
    resolution = struct.pack(order + "HHB3xHHqI", 9, 1, 9, 14, 8, 100, 0)
    binary = struct.pack(order + "HHB3xI", 9, 1, 0x80 | 10, 0)
    capture = (section(order) + interface(order) + interface(order, IP4, options=resolution)
               + interface(order, RAW, options=binary) + block(order, 5, bytes(12)) + block(order, 0xbad, b"unknown")
               + enhanced(SYN, SECOND * 10**6 + 1, 0, order) + enhanced(SYN[14:], SECOND * 10**9 + 7, 1, order)
               + enhanced(SYN[14:], SECOND << 10 | 512, 2, order)
               + block(order, 3, struct.pack(order + "I", len(SYN)) + SYN)
               + section() + interface() + enhanced(GET, SECOND * 10**6))
    frames = objects_of(sniff(capture, "--json"))
    assert [frame["frame"]["link"] for frame in frames] == ["ethernet", "ip", "raw", "ethernet", "ethernet"]
    assert [frame["frame"]["time"] for frame in frames] == [
        "2023-11-14T22:13:20.000001000Z", "2023-11-14T22:15:00.000000007Z", "2023-11-14T22:13:20.500000000Z",
        "1970-01-01T00:00:00.000000000Z", "2023-11-14T22:13:20.000000000Z"]
    assert [frame["frame"]["caplen"] for frame in frames] == [len(SYN), *[len(SYN) - 14] * 2, len(SYN), len(GET)]


def test_a_filter_over_several_link_types(sniff):
    capture = section() + interface() + interface(link=IP4) + b"".join(
        enhanced(data, number=number) for data, number in ((SYN, 0), (SYN[14:], 1), (GET, 0), (GET[14:], 1)))
    assert [frame["frame"]["number"] for frame in objects_of(sniff(capture, "--json", "port", "8000"))] == [3, 4]


def test_a_pipe_is_read_as_it_comes(start, sockeye):
    process = start(sockeye, "sniff", "-r", "-", "--time", "none")
    whole = pcap(SYN, SYN)
    half = len(pcap(SYN)) + 20
    process.send(whole[:10])
    process.send(whole[10:half])
    process.wait_stdout(re.escape(LINE) + "\n")
    process.send(whole[half:])
    process.wait_stdout(re.escape(f"{LINE}\n{LINE}\n"))
    process.close_stdin()
    assert process.wait() == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_pipe_is_ended_by_a_signal(start, sockeye, signum):
    process = start(sockeye, "sniff", "-r", "-", "-w", "/dev/null")
    process.send(pcap(SYN))
    processes.eventually(lambda: "NoNewPrivs:\t1" in open(f"/proc/{process.pid}/status", encoding="ascii").read(),
                         "the beginning")
    assert process.stop(signum) == 128 + signum
    assert "packets read" in process.stderr


# ---- what cannot be read ----

@pytest.mark.parametrize("capture, status, words", [
    (b"", 1, "empty, and so no capture file"),
    (b"Hello World\n" * 9, 1, "neither pcap nor pcapng"),
    (gzip.compress(pcap(SYN), mtime=0), 1, "neither pcap nor pcapng\n  likely cause: it is compressed"),
    (pcap()[:20], 7, "cut off inside its head"),
    (pcap(SYN, SYN)[:-1], 7, "cut off inside record 2"),
    (pcap(SYN)[:30], 7, "cut off inside record 1"),
    (pcap() + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), 1,
     "record 1 is malformed: a packet's length is 1073741824"),
    (struct.pack("<IHHiIII", 0xa1b2c3d4, 9, 4, 0, 0, 0, 1), 1, "pcap of version 9, not 2"),
    (section() + enhanced(SYN), 1, "record 2 is malformed: nothing describes interface 0"),
    (section() + interface() + enhanced(SYN)[:-3], 7, "cut off inside record 4"),
    (section() + struct.pack("<III", 6, 5, 0), 1, "record 2 is malformed: a block's length is 5"),
    (section() + interface(options=struct.pack("<HHB3x", 9, 1, 99)), 1,
     "record 2 is malformed: the resolution of time is 99"),
], ids=lambda value: "capture" if isinstance(value, bytes) else None)
def test_what_is_no_capture_or_only_part_of_one(sniff, capture, status, words):
    result = sniff(capture)
    assert result.status == status, result
    assert words in result.err
    assert result.err.startswith("sockeye: sniff: ")


def test_a_file_that_is_not_there(run_sockeye, tmp_path):
    result = run_sockeye("sniff", "-r", tmp_path / "none.pcap")
    assert (result.status, result.err) == (1, f"sockeye: sniff: {tmp_path}/none.pcap: no such file or directory\n")
    assert run_sockeye("sniff", "-r", tmp_path).err == f"sockeye: sniff: {tmp_path}: is a directory\n"


@pytest.mark.parametrize("words, place", [
    ("tcp prot 80", "prot"),
    ("host 10.0.0.1 and adn port 80", "adn"),
    ("(udp or tcp", ""),
    ("tcp[13 & 2 != 0", "!="),
    ("tcp[13 & 2", ""),
    ("port nosuchservice", "nosuchservice"),
    ("ether proto 0x800 ) or arp", ")"),
])
def test_a_filter_that_does_not_parse_shows_its_place(sniff, words, place):
    result = sniff(pcap(SYN), *words.split())
    assert result.status == 2, result
    lines = result.err.splitlines()
    assert lines[0].startswith("sockeye: sniff: filter: ")
    assert lines[1] == f"  {words}"
    assert lines[2].index("^") - 2 == (words.index(place) if place else len(words))


def test_a_file_does_not_tell_directions(sniff):
    result = sniff(pcap(SYN), "inbound")
    assert (result.status, result.out) == (2, b"")
    assert "only a live capture can tell" in result.err


# ---- what is shown ----

def test_a_line(sniff):
    assert lines_of(sniff(pcap(SYN), "--time", "none")) == [LINE]
    assert lines_of(sniff(pcap(SYN), "--time", "unix")) == [f"{SECOND}.000000 {LINE}"]
    assert lines_of(sniff(pcap(SYN), "--time", "utc")) == [f"2023-11-14T22:13:20.000000Z {LINE}"]
    zone = {"TZ": "XYZ-3"}
    assert lines_of(sniff(pcap(SYN), "--time", "date", env=zone)) == [f"2023-11-15 01:13:20.000000 {LINE}"]
    assert lines_of(sniff(pcap(SYN), env=zone)) == [f"01:13:20.000000 {LINE}"]
    delta = lines_of(sniff(pcap((5, SYN, len(SYN)), (300_005, SYN, len(SYN))), "--time", "delta"))
    assert delta == [f"+0.000000 {LINE}", f"+0.300000 {LINE}"]


def test_link_addresses_are_shown_when_asked_for(sniff):
    assert lines_of(sniff(pcap(SYN), "-e", "--time", "none")) == [f"02:00:00:00:00:01 > 02:00:00:00:00:02 {LINE}"]


def test_the_blocks(sniff):
    text = sniff(pcap(GET), "--detail").out.decode()
    block_of = text.partition("TCP_HEADER --------------\n")[2].partition("\n---")[0].splitlines()
    for line in ("Source Port: 38352", "Destination Port: 8000", "Sequence Number: 2907801591",
                 "Acknowledgment Number: 398995857", "Data offset: 5 (20 bytes)", "FIN: 0", "SYN: 0", "RST: 0",
                 "PSH: 8", "ACK: 16", "URG: 0", "ECE: 0", "CWR: 0", "Window: 342", "Checksum: 65142",
                 "Urgent Point: 0"):
        assert line in block_of
    assert text.endswith("- DATA -----------------\nGET / HTTP/1.1\\r\\n\nHost: localhost:8000\\r\\n\n\\r\\n\n\n")


def pseudo_sum(segment):
    return 0xffff ^ checksum(bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 6]) + struct.pack("!H", len(segment)))


def test_an_unfinished_checksum_is_called_so(sniff):
    segment = tcp(b"text")
    segment = segment[:16] + struct.pack("!H", pseudo_sum(segment)) + segment[18:]
    capture = pcap(ether(ip4(segment)))
    assert "Checksum is: unfinished" in sniff(capture, "--detail").out.decode()
    assert lines_of(sniff(capture, "--verify"))[0].endswith("[tcp checksum unfinished (offload)]")
    assert "checksum" not in lines_of(sniff(capture))[0]
    assert objects_of(sniff(capture, "--json", "--verify"))[0]["tcp"]["checksum_text"] == "unfinished"
    assert lines_of(sniff(pcap(GET), "--verify"))[0].endswith("[tcp checksum wrong]")


EVIL = "\x1b[31m\u202e\u00e9".encode() + b"\xff\x00\"\\\r\n"


def test_nothing_from_a_packet_steers_the_terminal(sniff):
    capture = pcap(ether(ip4(tcp(EVIL))))
    for words in (("--detail",), ("--json",), ("--fields", "payload.text"), ("-A",), ("-X",), ("--csv", "--fields",
                                                                                       "payload.text")):
        out = sniff(capture, *words).out
        text = out.decode()
        assert not [c for c in text if c != "\n" and c != "\t" and (ord(c) < 32 or c in "\x7f\u202e")], words
    shown = objects_of(sniff(capture, "--json"))[0]["payload"]["text"]
    assert shown == EVIL.decode(errors="replace")


def test_any_text_is_the_same_in_json(sniff):
    """Wherever a character begins among the eight bytes that are looked at together, and whatever stands beside it."""
    texts = ["".join(map(chr, range(256)))] + [
        f"{'x' * before}{c}{'y' * behind}" for before in range(9) for behind in range(9)
        for c in "\0\x1f\"\\\x7f\u0080\u20ac\u2028\U0001f600"]
    frames = objects_of(sniff(pcap(*[ether(ip4(tcp(text.encode()))) for text in texts]), "--json"))
    assert [frame["payload"]["text"] for frame in frames] == texts


def test_columns(sniff):
    fields = "frame.number,ip.src,tcp.dst_port,vlan,tcp.flags_text,payload.len"
    capture = pcap(SYN, GET)
    assert sniff(capture, "--fields", fields).out == (
        b"1\t10.0.0.1\t80\t\tS\t0\n2\t10.0.0.1\t8000\t\tP.\t40\n")
    rows = list(csv.reader(io.StringIO(sniff(pcap(ether(ip4(tcp(b'a,"b"\n')))), "--csv", "--fields",
                                             "tcp.src_port,payload.text").out.decode())))
    assert rows == [["tcp.src_port", "payload.text"], ["38352", 'a,"b"\\n']]


@pytest.mark.parametrize("fields, words", [
    ("ip.scr", "ip.scr: there is no field 'scr' in ip\n  ip.scr\n     ^\n  did you mean 'src'?"),
    ("ip.src,pi.src", "pi.src: there is no protocol 'pi'\n  ip.src,pi.src\n         ^\n"),
    ("ip", "ip: which field of it?"),
    ("ip.ttl.src", "there is no field 'src' in ip"),
    ("ip.src,", "--fields: a path is missing"),
])
def test_fields_that_do_not_exist(sniff, fields, words):
    result = sniff(pcap(SYN), "--fields", fields)
    assert (result.status, result.out) == (2, b"")
    assert words in result.err


def test_a_file_is_not_written_over_while_it_is_read(run_sockeye, tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(SYN, GET))
    result = run_sockeye("sniff", "-r", path, "-w", path)
    assert result.status == 2 and "one file" in result.err
    assert path.read_bytes() == pcap(SYN, GET)


def test_dumps(sniff):
    assert lines_of(sniff(pcap(SYN), "-x"))[1].startswith("\t0x0000:  4500 0028 0007 4000 4006 ")
    assert lines_of(sniff(pcap(SYN), "-xe"))[1].startswith("\t0x0000:  0200 0000 0002 0200 0000 0001 0800 4500")
    assert lines_of(sniff(pcap(GET), "-X"))[3] == "\t0x0020:  5018 0156 fe76 0000 4745 5420 2f20 4854  P..V.v..GET./.HT"
    text = lines_of(sniff(pcap(GET), "-A"))
    assert "GET / HTTP/1.1" in "\n".join(text) and all(line.startswith("\t") for line in text[1:])


def test_a_packet_larger_than_the_buffer_is_shown_whole(sniff):
    data = os.urandom(60_000)
    capture = pcap(*[ether(ip4(tcp(data[:50_000])))] * 12)
    frames = objects_of(sniff(capture, "--json"))
    assert [len(frame["payload"]["text"].encode("utf-16-le")) > 1000 for frame in frames] == [True] * 12
    assert len(lines_of(sniff(capture, "-x"))) == 12 * (1 + (50_040 + 15) // 16)


def test_counts_and_ends(sniff):
    capture = pcap(*[SYN, GET] * 5)
    assert sniff(capture, "-c", "3").err == "sockeye: sniff: 3 packets read, 3 shown\n"
    assert sniff(capture, "port", "8000").err == "sockeye: sniff: 10 packets read, 5 shown\n"
    assert sniff(capture, "-q").err == ""
    assert objects_of(sniff(capture, "--json", "-s", "20"))[0]["truncated"] == "ip"
    assert "truncated" not in objects_of(sniff(capture, "--json", "-s", "0"))[0]


@pytest.mark.parametrize("words", [("--json", "--detail"), ("-w", "x", "--json"), ("--csv",), ("--rotate-keep", "2"),
                                   ("-x", "--json"), ("--promiscuous",), ("-s", "300000"),
                                   ("-w", "x", "--rotate-keep", "2"), ("-w", "-", "--rotate-size", "1k"),
                                   ("-i", "lo"), ("--buffer", "1M"), ("-w", "x", "-x"), ("-w", "x", "-e"),
                                   ("-w", "x", "--time", "utc"), ("-w", "x", "--rotate-size", "40")])
def test_what_does_not_go_together(sniff, words):
    result = sniff(pcap(SYN), *words)
    assert (result.status, result.out) == (2, b""), result
    assert len(result.err.splitlines()) == 1


def test_a_reader_that_leaves_ends_it(start, sockeye, tmp_path):
    (tmp_path / "many.pcap").write_bytes(pcap(*[GET] * 20_000))
    process = start("bash", "-c", f"set -o pipefail; {sockeye} sniff -r {tmp_path}/many.pcap | head -n 1")
    assert process.wait() == 1
    assert "standard output: broken pipe" in process.stderr


def on_terminal(start, *words, **env):
    """What a terminal is shown by a command that ends, its status, and what it says on standard error."""
    main, sub = os.openpty()
    process = start(*words, stdout=sub, env={"TERM": "xterm", **env})
    os.close(sub)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
        while piece := os.read(main, 4096):
            shown += piece
    os.close(main)
    return shown.decode().replace("\r\n", "\n"), process.wait(), process.stderr


def test_colours_are_for_terminals(start, sockeye, sniff, tmp_path):
    plain = sniff(pcap(SYN), "--time", "none").out.decode()
    assert plain == f"{LINE}\n"
    words = (sockeye, "sniff", "-q", "--time", "none", "-r", tmp_path / "given.pcap")
    shown = on_terminal(start, *words)[0]
    assert "\x1b[32mTCP\x1b[0m" in shown and re.sub(r"\x1b\[[0-9;]*m", "", shown) == plain
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert on_terminal(start, *words, **env)[0] == plain
    assert json.loads(on_terminal(start, *words[:3], "--json", *words[-2:])[0])


def test_a_capture_file_is_nothing_for_a_terminal(start, sockeye, sniff, tmp_path):
    sniff(pcap(SYN))
    shown, status, said = on_terminal(start, sockeye, "sniff", "-r", tmp_path / "given.pcap", "-w", "-")
    assert (shown, status) == ("", 2)
    assert "--write -: a capture file is nothing for a terminal" in said


# ---- what is written ----

def test_a_filtered_copy(sniff, tmp_path):
    copy = tmp_path / "copy.pcap"
    result = sniff(pcap(SYN, GET, SYN), "-w", copy, "dst", "port", "80")
    assert (result.status, result.out) == (0, b"")
    assert result.err == "sockeye: sniff: 3 packets read, 2 written\n"
    assert copy.read_bytes() == pcap((0, SYN, len(SYN)), (2, SYN, len(SYN)))
    nano = pcap((999_999_999, SYN, 2000), magic=0xa1b23c4d)
    assert sniff(nano, "-w", "-").out == nano


def test_a_copy_of_nothing_is_a_capture(sniff, run_sockeye, tmp_path):
    assert sniff(pcap(SYN, link=IP4), "-w", tmp_path / "none.pcap", "port", "1").status == 0
    assert (tmp_path / "none.pcap").read_bytes() == pcap(link=IP4)


def test_several_link_types_do_not_go_into_one_file(sniff, tmp_path):
    capture = section() + interface() + interface(link=IP4) + enhanced(SYN) + enhanced(SYN[14:], number=1)
    result = sniff(capture, "-w", tmp_path / "out.pcap")
    assert result.status == 1
    assert "a pcap file holds one link type, 1 here, and this packet has 228" in result.err
    assert (tmp_path / "out.pcap").read_bytes() == pcap((0, SYN, len(SYN)), magic=0xa1b23c4d).replace(
        struct.pack("<I", SECOND), bytes(4))


@pytest.fixture
def folder(tmp_path):
    """A folder in which anybody may write, whoever the command becomes."""
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and not path.stat().st_mode & 0o005 and str(path) != "/":
            path.chmod(path.stat().st_mode | 0o005)
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    return tmp_path / "out"


def test_rotation_by_size(sniff, folder):
    one = 16 + len(SYN)
    result = sniff(pcap(*[SYN] * 10), "-w", folder / "a.b.pcap", "--rotate-size", 24 + 3 * one)
    assert result.status == 0, result
    files = sorted(path.name for path in folder.iterdir())
    assert files == [f"a.b-0000{n}.pcap" for n in (1, 2, 3, 4)]
    assert [(folder / name).stat().st_size for name in files] == [24 + 3 * one] * 3 + [24 + one]


def test_a_folder_is_no_name_for_a_series(sniff, folder):
    for name in (folder, f"{folder}/"):
        result = sniff(pcap(SYN), "-w", name, "--rotate-size", "1k")
        assert (result.status, result.err) == (1, f"sockeye: sniff: {name}: is a directory\n")
    assert not list(folder.iterdir())


def test_rotation_by_time_keeps_so_many(sniff, folder):
    capture = pcap(*[(n * 100_000, SYN, len(SYN)) for n in range(10)])
    result = sniff(capture, "-w", folder / "trace", "--rotate-every", "250ms", "--rotate-keep", "2")
    assert result.status == 0, result
    left = sorted(folder.iterdir())
    assert [path.name for path in left] == ["trace-00003", "trace-00004"]
    assert left[0].read_bytes() == pcap(*[(n * 100_000, SYN, len(SYN)) for n in (6, 7, 8)])


def test_a_full_disk_leaves_whole_packets(sniff, run_sockeye, tmp_path):
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    out = tmp_path / "out.pcap"
    result = sniff(pcap(*[GET] * 10_000), "-w", out, preexec_fn=limit)
    assert (result.status, result.err.splitlines()[0]) == (1, f"sockeye: sniff: {out}: file too large")
    size = out.stat().st_size
    assert size > 24 and (size - 24) % (16 + len(GET)) == 0
    assert run_sockeye("sniff", "-r", "/dev/full").status == 1
