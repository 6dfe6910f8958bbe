"""Dialling a name with several addresses: RFC 8305 ("Happy Eyeballs"), section 5, between two test hosts.

The first address is a black hole: it is on the cable, and its neighbour entry is there, so what is sent to it
goes out and is never answered.
"""

import os
import shutil
import signal
import subprocess

import pytest

from processes import eventually

HOLE = {4: "198.51.100.77", 6: "2001:db8::77"}
SYN_SENT = "02"  # tcp_states.h, as proc_pid_net(5) shows it


@pytest.fixture
def named(netns, tmp_path):
    """named(first, addresses): what to put before a command on host a, where race.test has these addresses
    and those of family `first` come first."""
    a, _ = netns
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    for address in HOLE.values():
        subprocess.run([*a.enter, "ip", "neighbour", "add", address, "lladdr", "02:00:00:00:00:77", "dev",
                        a.interface], check=True)
    mounted = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/gai.conf" /etc/gai.conf && exec "$@"'
    hidden = (*a.enter, "unshare", "--mount", "sh", "-c", mounted, str(tmp_path))

    def prepare(first, addresses):
        (tmp_path / "hosts").write_text("".join(f"{address} race.test\n" for address in addresses))
        wanted = {4: "precedence ::ffff:0:0/96 100\n", 6: "precedence ::/0 100\n"}
        (tmp_path / "gai.conf").write_text(wanted[first])
        tried = subprocess.run([*hidden, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"this host allows no mounts: {tried.stderr.strip()}")
        return hidden
    if not os.path.exists("/etc/gai.conf"):
        pytest.skip("there is no /etc/gai.conf to put another in the place of")
    return prepare


def waiting_handshakes(pid):
    count = 0
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as rows:
            count += sum(row.split()[3] == SYN_SENT for row in list(rows)[1:])
    return count


@pytest.mark.parametrize("first", [6, 4])
def test_the_first_address_is_a_black_hole(start_sockeye, netns, named, first):
    """The other family's is tried 250 ms later and wins; of the first nothing is left."""
    _, b = netns
    live = b.ip4 if first == 6 else b.ip6
    prefix = named(first, [HOLE[first], live])
    port = start_sockeye("echo", "tcp:[::]:0", prefix=b.enter).listening().port
    ours = start_sockeye("connect", f"tcp:race.test:{port}", prefix=prefix)
    attempts = ours.wait_event("connected", side="to")["attempts"]
    text = {4: "{}:{}", 6: "[{}]:{}"}
    assert [attempt["address"] for attempt in attempts] == [
        text[first].format(HOLE[first], port), text[10 - first].format(live, port)]
    assert 250 <= attempts[0]["ms"] < 5000 and "error" in attempts[0] and "error" not in attempts[1]
    assert waiting_handshakes(ours.pid) == 0
    ours.send("there!\n")
    ours.wait_stdout("there!\n")
    ours.close_stdin()
    assert ours.wait() == 0


def test_the_families_take_turns(start_sockeye, netns, named):
    """Two holes of the one family do not make the other's address wait for both."""
    _, b = netns
    prefix = named(6, [HOLE[6], "2001:db8::78", b.ip4])
    subprocess.run([*prefix[:2], "ip", "neighbour", "add", "2001:db8::78", "lladdr", "02:00:00:00:00:78",
                    "dev", netns[0].interface], check=True)
    port = start_sockeye("echo", "tcp:[::]:0", prefix=b.enter).listening().port
    ours = start_sockeye("connect", f"tcp:race.test:{port}", prefix=prefix)
    attempts = ours.wait_event("connected", side="to")["attempts"]
    assert len(attempts) == 2 and attempts[1]["address"] == f"{b.ip4}:{port}"


def test_only_black_holes(start_sockeye, named, netns):
    """The deadline ends all of them, a signal too, and none is left in flight."""
    prefix = named(6, HOLE.values())
    ours = start_sockeye("connect", "tcp:race.test:9,timeout=600ms", prefix=prefix)
    assert ours.wait() == 124
    ours = start_sockeye("connect", "tcp:race.test:9,timeout=1m", prefix=prefix)
    # The namespace's tables are any of its processes': one by which to see them that has no such sockets.
    host = start_sockeye("echo", "tcp:127.0.0.1:0", prefix=netns[0].enter)
    host.listening()
    eventually(lambda: waiting_handshakes(host.pid) == 2, "both attempts")
    assert ours.stop() == 128 + signal.SIGTERM
    assert waiting_handshakes(host.pid) == 0
