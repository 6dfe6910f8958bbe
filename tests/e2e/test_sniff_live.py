"""sniff on live interfaces, between test hosts: ping, curl and ARP as they pass, interfaces that go away, and
privileges that are really given up."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

NOBODY = 65534


@pytest.fixture
def sniff(start, sockeye, netns, needs):
    """sniff(*words) starts it on the first of two test hosts and waits until it listens."""
    needs("packet", "capture")
    host = netns[0]

    def run(*words, wait=True, prefix=()):
        process = start(*host.enter, *prefix, sockeye, "sniff", *words)
        if wait:
            process.wait_stderr(r"listening on \S+, link type \S+\n")
        return process
    return run


def do(host, *words):
    return subprocess.run([*host.enter, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def objects_of(sockeye, path):
    told = subprocess.run([sockeye, "sniff", "-q", "--json", "-r", path], check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in told.splitlines()]


def objects(process):
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.mark.parametrize("engine_name", ["epoll", "select"])
def test_three_pings_on_loopback_are_six_packets(sniff, netns, engine_name):
    process = sniff("-i", "lo", "-c", "6", "--time", "none", "--engine", engine_name, "icmp")
    do(netns[0], "ping", "-c", "3", "-i", "0.01", "127.0.0.1")
    assert process.wait() == 0, process
    lines = [line.partition(" id ")[0] for line in process.stdout.decode().splitlines()]
    assert lines == ["ICMP 127.0.0.1 > 127.0.0.1 echo request", "ICMP 127.0.0.1 > 127.0.0.1 echo reply"] * 3
    assert re.search(r"sniff: [67] packets captured, 6 shown, 0 dropped by the kernel, 0 by the interface\n$",
                     process.stderr)


def test_a_request_of_curl_with_every_field(sniff, start, netns, tmp_path):
    (tmp_path / "index.html").write_text("Hello World\n")
    server = start(*netns[0].enter, "python3", "-u", "-m", "http.server", "8000", "--directory", tmp_path)
    server.wait_stdout("Serving HTTP")
    process = sniff("-i", "lo", "--detail", "tcp", "port", "8000")
    do(netns[0], "curl", "-s", "-A", "test", "http://127.0.0.1:8000/")
    process.wait_stdout(r"GET / HTTP/1\.1\\r\\n\nHost: 127\.0\.0\.1:8000\\r\\n\nUser-Agent: test\\r\\n\n")
    text = process.stdout.decode()
    block = re.search(r"-+ TCP_HEADER -+\n((?:[^-\n].*\n)+)-+ HTTP", text)[1]
    fields = dict(re.findall(r"^(\w.*?): (.*)$", block, re.MULTILINE))
    assert fields["Destination Port"] == "8000"
    assert fields["Data offset"] == "8 (32 bytes)"
    assert (fields["PSH"], fields["ACK"], fields["SYN"], fields["FIN"]) == ("8", "16", "0", "0")
    assert fields["Checksum is"].startswith("unfinished")
    assert process.stop(signal.SIGINT) == 128 + signal.SIGINT


def test_what_was_seen_before_the_signal_is_written(start_sockeye, netns, tmp_path):
    """Though the kernel still gathers it."""
    path = tmp_path / "out.pcap"
    process = start_sockeye("sniff", "-i", "lo", "-w", path, "icmp", events=False, prefix=netns[0].enter)
    process.wait_stderr("listening on lo")
    do(netns[0], "ping", "-c", "2", "-i", "0.002", "127.0.0.1")
    assert process.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert "4 packets captured, 4 written" in process.stderr


def test_arp_between_two_hosts(sniff, netns):
    a, b = netns
    process = sniff("-i", a.interface, "--detail", "arp")
    do(a, "ip", "neighbour", "flush", "dev", a.interface)
    do(a, "ping", "-c", "1", b.ip4)
    process.wait_stdout(rf"Opcode: 0002 \(reply\)\nSource MAC: \S+\nSource IP: {re.escape(b.ip4)}\n(?:.*\n)+\n")
    macs = {host: do(host, "ip", "-br", "link", "show", host.interface).stdout.split()[2] for host in netns}
    blocks = process.stdout.decode().split("\n\n")
    asked = next(text for text in blocks if f"Dest IP: {b.ip4}" in text and "(request)" in text)
    for line in (f"Source MAC: {macs[a]}", "Type: 0806 (ARP)", "Hardware type: 0001 (Ethernet)",
                 "Protocol type: 0800 (IPv4)", "Opcode: 0001 (request)",
                 "Hardware size: 6", "Protocol size: 4", f"Source IP: {a.ip4}", f"Dest IP: {b.ip4}"):
        assert line in asked
    answer = next(text for text in blocks if f"Source IP: {b.ip4}" in text and "(reply)" in text)
    for line in (f"Source MAC: {macs[b]}", f"Dest MAC: {macs[a]}", f"Dest IP: {a.ip4}"):
        assert line in answer


def test_any_names_the_interface(sniff, netns):
    process = sniff("--json", "-c", "1", "icmp6", "and", "ip6[40]", "==", "128")
    do(netns[0], "ping", "-c", "1", "::1")
    assert process.wait() == 0
    frame = objects(process)[0]
    assert frame["frame"]["link"] == "sll2"
    assert frame["sll"]["ifindex"] == 1
    assert frame["icmp6"]["type"] == 128
    line = sniff("--time", "none", "-c", "1", "icmp")
    do(netns[0], "ping", "-c", "1", netns[1].ip4)
    assert line.wait() == 0
    a, b = netns
    assert line.stdout.decode().startswith(f"{a.interface} Out ICMP {a.ip4} > {b.ip4} echo request")


def test_an_interface_that_disappears(sniff, netns):
    process = sniff("-i", netns[0].interface)
    do(netns[0], "ip", "link", "delete", netns[0].interface)
    assert process.wait() == 1
    assert f"sniff: {netns[0].interface}: the interface disappeared\n" in process.stderr
    assert "packets captured" in process.stderr


def test_an_interface_that_is_down_for_a_while(sniff, netns):
    """Which is not gone: what comes later is seen."""
    a, b = netns
    process = sniff("-i", a.interface, "--time", "none", "-l", "icmp")
    do(a, "ip", "link", "set", a.interface, "down")
    do(a, "ip", "link", "set", a.interface, "up")
    do(a, "ping", "-c", "1", "-w", "5", b.ip4)
    process.wait_stdout("echo reply")
    assert process.stop(signal.SIGINT) == 128 + signal.SIGINT


def promiscuity(host):
    return json.loads(do(host, "ip", "-d", "-j", "link", "show", host.interface).stdout)[0]["promiscuity"]


@pytest.mark.parametrize("words", [(), ("--promiscuous",)])
def test_promiscuous_where_it_is_asked_for(sniff, netns, words):
    process = sniff("-i", netns[0].interface, *words)
    assert promiscuity(netns[0]) == len(words)
    assert process.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert promiscuity(netns[0]) == 0


def test_so_much_of_each_packet(sniff, netns):
    process = sniff("-i", "lo", "-s", "60", "-c", "2", "--json", "icmp")
    do(netns[0], "ping", "-c", "1", "-s", "1000", "127.0.0.1")
    assert process.wait() == 0
    frames = [packet["frame"] for packet in objects(process)]
    assert [(frame["caplen"], frame["len"]) for frame in frames] == [(60, 1042)] * 2


def test_a_buffer_that_is_too_small_drops_and_says_so(start, netns, sockeye, needs):
    """One of 64 KiB, while the command cannot run: of two hundred packets some have no room, and every one is
    accounted for. With room for all of them nothing is dropped."""
    needs("packet", "capture")
    (a, b), count = netns, 200
    for size, drops in (("64k", True), ("8M", False)):
        process = start(*a.enter, sockeye, "sniff", "-i", a.interface, "--buffer", size, "-w", "/dev/null", "icmp")
        process.wait_stderr("listening on")
        os.kill(process.pid, signal.SIGSTOP)
        do(a, "ping", "-q", "-f", "-c", str(count // 2), "-s", "1400", b.ip4)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stop(signal.SIGINT) == 128 + signal.SIGINT
        told = re.search(r"(\d+) packets captured, (\d+) written, (\d+) dropped by the kernel", process.stderr)
        captured, written, dropped = map(int, told.groups())
        assert captured == written and captured + dropped == count, process
        assert (dropped > 0) == drops, process


def test_a_series_of_a_live_capture(sniff, netns, sockeye, tmp_path):
    """Its files are whole while it runs, all packets are in them, and only so many stay."""
    folder = tmp_path / "out"
    folder.mkdir()
    for path in (folder, *folder.parents):  # whoever it becomes comes there
        if path.stat().st_uid == os.getuid() and not path.stat().st_mode & 0o005:
            path.chmod(path.stat().st_mode | 0o005)
    folder.chmod(0o777)
    process = sniff("-i", "lo", "-w", folder / "x.pcap", "--rotate-size", "300", "--rotate-keep", "3", "-l", "-c", "10",
                    "icmp")
    do(netns[0], "ping", "-c", "5", "-i", "0.002", "127.0.0.1")
    assert process.wait() == 0, process
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == ["x-00003.pcap", "x-00004.pcap", "x-00005.pcap"]
    seen = [packet for path in files for packet in objects_of(sockeye, path)]
    assert [packet["icmp"]["seq"] for packet in seen] == [3, 3, 4, 4, 5, 5]


def test_an_interface_that_is_not_there(sniff):
    process = sniff("-i", "none0", wait=False)
    assert (process.wait(), process.stderr) == (4, "sockeye: sniff: none0: no such interface\n")


def test_a_filter_that_does_not_parse(sniff):
    process = sniff("-i", "lo", "tcp prot 80", wait=False)
    assert (process.wait(), process.stderr) == (
        2, "sockeye: sniff: filter: syntax error\n  tcp prot 80\n      ^\n")


def status_of(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


def test_what_root_has_is_given_up(sniff, netns):
    if os.geteuid():
        pytest.skip("this test is not run as root")
    process = sniff("-v", "-i", "lo")
    told = status_of(process)
    assert told["Uid"].split() == told["Gid"].split() == [str(NOBODY)] * 4
    assert told["Groups"].strip() == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert int(told[name], 16) == 0, name
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2"
    assert re.search(r"gave up capabilities, root for user nobody(, files \(landlock\))?, "
                     r"programs and sockets \(seccomp\)\n", process.stderr)
    do(netns[0], "ping", "-c", "1", "127.0.0.1")
    process.wait_stdout("echo reply")
    assert process.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_another_user(sniff):
    process = sniff("--user", "daemon", "-i", "lo")
    assert status_of(process)["Uid"].split() == ["1"] * 4
    process = sniff("--user", "no such user", "-i", "lo", wait=False)
    assert (process.wait(), process.stderr) == (
        1, "sockeye: sniff: user no such user: there is none of that name\n")


def as_nobody(sockeye, *caps):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not installed")
    words = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             *(f"--{kind}-caps=+{cap}" for cap in caps for kind in ("inh", "ambient")))
    if subprocess.run([*words, "test", "-x", sockeye], check=False, stdin=subprocess.DEVNULL).returncode:
        pytest.skip("nobody cannot run the command under test, or setpriv is denied")
    return words


def test_net_raw_alone_is_enough(sniff, sockeye, netns):
    process = sniff("-i", "lo", "-c", "1", "icmp", prefix=as_nobody(sockeye, "net_raw"))
    assert int(status_of(process)["CapPrm"], 16) == 0
    do(netns[0], "ping", "-c", "1", "127.0.0.1")
    assert process.wait() == 0


def test_without_it_one_line_says_what_is_missing(sniff, sockeye):
    process = sniff("-i", "lo", prefix=as_nobody(sockeye), wait=False)
    assert process.wait() == 8
    assert process.stderr.splitlines() == [
        "sockeye: sniff: lo: capturing needs CAP_NET_RAW, which is not held",
        "  likely cause: run it as root, or grant the capability: setcap cap_net_raw=ep $(command -v sockeye)"]


def test_a_series_needs_a_folder_that_the_user_may_write_in(sniff, tmp_path):
    tmp_path.chmod(0o700)
    process = sniff("-i", "lo", "-w", tmp_path / "x.pcap", "--rotate-size", "1M", wait=False)
    assert process.wait() == 1
    first, second = process.stderr.splitlines()
    assert first == f"sockeye: sniff: {tmp_path}/x-00001.pcap: permission denied"
    assert "files are made by user nobody, who may not write in that folder" in second
    assert not list(tmp_path.iterdir())


def test_what_is_written_live_is_read_by_tcpdump(sniff, netns, tmp_path):
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed")
    out = tmp_path / "out.pcap"
    process = sniff("-i", netns[0].interface, "-w", out, "-c", "4", "icmp")
    do(netns[0], "ping", "-c", "2", "-i", "0.01", netns[1].ip4)
    assert process.wait() == 0
    told = subprocess.run(["tcpdump", "-nn", "-r", out], check=True, capture_output=True, text=True).stdout
    assert len(re.findall("ICMP echo (?:request|reply)", told)) == 4


def test_a_duration_ends_it(sniff):
    process = sniff("-i", "lo", "--duration", "50ms", "port", "1")
    assert process.wait() == 0
    assert "0 packets captured, 0 shown" in process.stderr
