"""Where servers listen and what clients dial: ports, families, names, zones, local addresses."""

import os
import shutil
import socket
import subprocess

import pytest

from peers import connect, listen_tcp, receive_exactly
from processes import eventually


def answers(host, port):
    with connect((host, port)) as sock:
        sock.sendall(b"there?\n")
        return receive_exactly(sock, 7) == b"there?\n"


@pytest.fixture
def with_hosts(tmp_path):
    """with_hosts(name=[address, ...]) gives words to put before a command: it then reads names so."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], check=False,
                                                     capture_output=True).returncode:
        pytest.skip("this host allows no mount namespaces, which a hosts file of our own needs")

    if not os.path.exists("/etc/hosts"):
        pytest.skip("this host has no hosts file to put one of our own over")

    def words(**names):
        hosts = tmp_path / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name, addresses in names.items()
                                 for address in addresses), encoding="ascii")
        return ("unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
    return words


@pytest.mark.parametrize("text", ["tcp:[::]:0", "[::]:0", "tcp::0", ":0", "tcp:0", "0"])
def test_no_host_means_both_families(start_sockeye, needs, text):
    needs("net", "dual-stack")
    address = start_sockeye("echo", text).listening()
    assert address.host == "::" and address.port > 0
    assert answers("127.0.0.1", address.port) and answers("::1", address.port)


@pytest.mark.parametrize("text, host, other", [
    (":0,family=4", "127.0.0.1", "::1"), (":0,family=6,v6only", "::1", "127.0.0.1"),
    (":0,v6only", "::1", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.1", "::1")])
def test_one_family_only(start_sockeye, needs, text, host, other):
    needs("net", "ipv6")
    port = start_sockeye("echo", text).listening().port
    assert answers(host, port)
    with pytest.raises(ConnectionRefusedError):
        connect((other, port))


def test_a_given_port_is_the_one(start_sockeye):
    with listen_tcp() as placeholder:
        port = placeholder.getsockname()[1]
    address = start_sockeye("echo", f"tcp:127.0.0.1:{port}").listening()
    assert address.text == f"127.0.0.1:{port}"


def test_a_name_listens_on_all_its_addresses(start_sockeye, needs, with_hosts):
    needs("net", "ipv6")
    there = {"127.0.0.5", "127.0.0.6", "::1"}
    echo = start_sockeye("echo", "tcp:many.example:0", prefix=with_hosts(**{"many.example": there}))
    addresses = [echo.listening(index) for index in range(3)]
    assert {address.host for address in addresses} == there
    assert all(answers(address.host, address.port) for address in addresses)


def test_dialling_a_name_goes_through_its_addresses(start_sockeye, needs, with_hosts):
    needs("net", "ipv6")
    with listen_tcp("127.0.0.6") as listener:
        port = listener.getsockname()[1]
        names = with_hosts(**{"many.example": ["::1", "127.0.0.5", "127.0.0.6"]})
        client = start_sockeye("connect", f"tcp:many.example:{port}", prefix=names)
        sock, _ = listener.accept()
        sock.close()
        connected = client.wait_event("connected")
        client.close_stdin()
        assert client.wait() == 0
    assert connected["peer"] == f"127.0.0.6:{port}"
    attempts = connected["attempts"]
    assert {attempt["address"] for attempt in attempts} == {
        f"[::1]:{port}", f"127.0.0.5:{port}", f"127.0.0.6:{port}"}
    assert [attempt.get("error") for attempt in attempts] == ["connection refused"] * 2 + [None]
    assert all(attempt["ms"] >= 0 for attempt in attempts)


def test_a_name_of_which_no_address_answers(start_sockeye, with_hosts):
    with listen_tcp("127.0.0.6") as listener:
        port = listener.getsockname()[1]
    names = with_hosts(**{"many.example": ["127.0.0.5", "127.0.0.6"]})
    client = start_sockeye("connect", f"tcp:many.example:{port}", prefix=names)
    assert client.wait() == 4
    assert client.stderr.splitlines()[0] == (
        f"sockeye: connect: tcp:many.example:{port}: connection refused")


def test_a_silent_address_does_not_hold_up_the_next(start_sockeye, with_hosts, netns):
    """RFC 8305: the second attempt begins 250 ms after the first, which nobody answers."""
    a, b = netns
    silent = "2001:db8::77"
    names = with_hosts(**{"many.example": [silent, a.ip4]})
    echo = start_sockeye("echo", "tcp:[::]:0", prefix=a.enter)
    port = echo.listening().port
    client = start_sockeye("connect", f"tcp:many.example:{port}", prefix=(*b.enter, *names))
    connected = client.wait_event("connected")
    client.send("hello\n")
    client.wait_stdout("hello\n")
    assert connected["peer"] == f"{a.ip4}:{port}"
    lost, won = connected["attempts"]
    assert lost["address"] == f"[{silent}]:{port}" and lost["error"] == "operation canceled"
    assert 250 <= lost["ms"] < 2500  # the kernel itself would give up after 3 s
    assert "error" not in won
    client.close_stdin()
    assert client.wait() == 0


def test_scoped_link_local_address_between_two_hosts(start_sockeye, start, peers, netns, engine):
    a, b = netns
    echo = start_sockeye("echo", "--engine", engine, f"tcp:[{a.link_local}%{a.interface}]:0",
                         prefix=a.enter)
    address = echo.listening()
    assert address.host == f"{a.link_local}%{a.interface}"

    nc = start(*b.enter, "nc.openbsd", "-N", "-6", f"{a.link_local}%{b.interface}", address.port)
    nc.send("by nc\n")
    nc.wait_stdout("by nc\n")
    nc.close_stdin()
    assert nc.wait() == 0
    assert echo.wait_event("connected", conn=1)["peer"].startswith(f"[{b.link_local}%{a.interface}]:")

    client = start_sockeye("connect", "--engine", engine,
                           f"tcp:[{a.link_local}%{b.interface}]:{address.port}", prefix=b.enter)
    client.send("by sockeye\n")
    client.wait_stdout("by sockeye\n")
    assert client.wait_event("connected")["peer"] == f"[{a.link_local}%{b.interface}]:{address.port}"
    client.close_stdin()
    assert client.wait() == 0


def test_global_addresses_between_two_hosts(start_sockeye, netns):
    a, b = netns
    echo = start_sockeye("echo", "tcp:[::]:0", prefix=a.enter)
    port = echo.listening().port
    for number, (server, client) in enumerate(((a.ip4, b.ip4), (a.ip6, b.ip6)), 1):
        bracketed = f"[{server}]" if ":" in server else server
        check = start_sockeye("connect", "--check", f"tcp:{bracketed}:{port}", prefix=b.enter)
        assert check.wait() == 0
        assert client in echo.wait_event("connected", conn=number)["peer"]


def test_a_zone_that_this_host_has_not(run_sockeye):
    result = run_sockeye("connect", "--check", "tcp:[fe80::1%nosuchif0]:9")
    assert result.status != 0 and len(result.err.splitlines()) >= 1
    assert "fe80::1%nosuchif0" in result.err


@pytest.mark.parametrize("local", ["127.0.0.9", "[::1]"])
def test_bind_names_the_local_address(start_sockeye, local):
    with listen_tcp("127.0.0.1" if "." in local else "::1") as listener:
        port = listener.getsockname()[1]
        host = "127.0.0.1" if "." in local else "[::1]"
        client = start_sockeye("connect", f"tcp:{host}:{port},bind={local}")
        sock, peer = listener.accept()
        sock.close()
        assert peer[0] == local.strip("[]")
        assert client.wait_event("connected")["local"].startswith(f"{local}:")
        client.close_stdin()
        assert client.wait() == 0


def test_reuseport_lets_two_servers_share_a_port(start_sockeye, run_sockeye):
    first = start_sockeye("echo", "tcp:127.0.0.1:0,reuseport")
    port = first.listening().port
    refused = run_sockeye("echo", f"tcp:127.0.0.1:{port}")
    assert refused.status == 4 and "address already in use" in refused.err
    second = start_sockeye("echo", f"tcp:127.0.0.1:{port},reuseport")
    assert second.listening().port == port
    for number in range(1, 65):
        assert answers("127.0.0.1", port)

    def served():
        return [len([event for event in server.events if event["event"] == "closed"])
                for server in (first, second)]
    eventually(lambda: sum(served()) == 64, "64 peers, each served by one of the two")
    assert min(served()) > 0, served()


def test_device_binds_to_an_interface(start_sockeye, netns):
    a, b = netns
    echo = start_sockeye("echo", f"tcp:[::]:0,device={a.interface}", prefix=a.enter)
    port = echo.listening().port
    assert start_sockeye("connect", "--check", f"tcp:{a.ip4}:{port}", prefix=b.enter).wait() == 0
    by_loopback = start_sockeye("connect", "--check", f"tcp:127.0.0.1:{port}", prefix=a.enter)
    assert by_loopback.wait() == 4 and "refused" in by_loopback.stderr


def test_options_reach_the_socket(start_sockeye):
    """keepalive and rcvbuf, as ss and getsockopt see them in the socket that a dialler made."""
    with listen_tcp() as listener:
        port = listener.getsockname()[1]
        start_sockeye("connect", f"tcp:127.0.0.1:{port},keepalive,nodelay")
        sock, peer = listener.accept()
        with sock:
            ss = shutil.which("ss")
            if not ss:
                pytest.skip("iproute2 is not installed")
            shown = subprocess.run([ss, "-tnoH", f"sport = :{peer[1]}"], capture_output=True, text=True,
                                   check=True).stdout
            assert "timer:(keepalive" in shown
            assert socket.AF_INET == sock.family
