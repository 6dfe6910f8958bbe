"""host, resolve and convert: the cheat sheet's tables, and what lies at their edges."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest


def answer(result):
    """The JSON lines of a command that went well."""
    assert (result.status, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


# ---- host ----

def test_host_says_what_the_system_says(run_sockeye):
    result = run_sockeye("host", "--json")
    row = json.loads(result.out)
    assert row["v"] == 1
    assert row["name"] == socket.gethostname()
    assert set(row["localhost"]) & {"127.0.0.1", "::1"}
    own = {info[4][0] for info in socket.getaddrinfo(row["name"], None)} if row["canonical"] else set()
    assert set(row["addresses"]) == own
    assert result.status == (0 if own else 3)
    text = run_sockeye("host").out.decode().splitlines()
    assert text[0].split() == ["name", row["name"]]
    assert [line.split()[1] for line in text if line.startswith("localhost ")] == row["localhost"]


def test_host_tells_an_own_name_that_does_not_resolve(start, sockeye):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a host name for the test alone takes root and unshare(1)")
    script = 'echo no-such-name.invalid >/proc/sys/kernel/hostname && exec "$1" host --json'
    process = start("unshare", "--uts", "sh", "-c", script, "sh", sockeye)
    assert process.wait() == 3
    row = json.loads(process.stdout)
    assert (row["name"], row["canonical"], row["addresses"]) == ("no-such-name.invalid", None, [])
    assert "127.0.0.1" in row["localhost"] or "::1" in row["localhost"]
    assert process.stderr.startswith("sockeye: host: no-such-name.invalid: ")


def test_json_escapes_what_a_name_may_hold(start, sockeye):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a host name for the test alone takes root and unshare(1)")
    script = r"""printf 'n"\\\033\177\377\342\200\256\303\244' >/proc/sys/kernel/hostname
        exec "$1" host --json"""
    process = start("unshare", "--uts", "sh", "-c", script, "sh", sockeye)
    assert process.wait() == 3
    assert rb'"name":"n\"\\\u001b\u007f\ufffd\u202e' + "ä".encode() + b'"' in process.stdout
    assert json.loads(process.stdout)["name"] == 'n"\\\x1b\x7f\ufffd\u202eä'
    assert "\x1b" not in process.stderr and "\u202e" not in process.stderr


# ---- resolve ----

SHEET = [
    ("192.0.2.244", "inet", "192.0.2.244", None),
    ("2001:db8:f00d::1:d", "inet6", "2001:db8:f00d::1:d", 0),
    ("fe80::1%lo", "inet6", "fe80::1%lo", socket.if_nametoindex("lo")),
    ("::ffff:192.0.2.128", "inet6", "::ffff:192.0.2.128", 0),
    ("0xc000027b", "inet", "192.0.2.123", None),
    ("3221226198", "inet", "192.0.2.214", None),
    ("0300.0.2.0x7b", "inet", "192.0.2.123", None),
    ("192.0.635", "inet", "192.0.2.123", None),
    ("2001:DB8:0:0:1:0:0:1", "inet6", "2001:db8::1:0:0:1", 0),
]


@pytest.mark.parametrize("name, family, address, scope", SHEET)
def test_resolve_reads_what_getaddrinfo_reads(run_sockeye, name, family, address, scope):
    row = {"v": 1, "name": name, "family": family, "address": address, "port": 0}
    if scope is not None:
        row["scope_id"] = scope
    assert answer(run_sockeye("resolve", "--json", name)) == [row]
    columns = run_sockeye("resolve", name).out.decode().split()
    assert columns == [name, f"AF_{family.upper()}", address, "port", "0",
                       *(["scope_id", str(scope)] if scope is not None else [])]


def test_resolve_tells_the_invalid_and_prints_the_others(run_sockeye):
    invalid = ["10.0.0.256", "not-exist.invalid", "a" * 300, "a" * 64 + ".example",
               ".".join(["a" * 63] * 4), "fe80::1%no-such-if", ""]
    result = run_sockeye("resolve", "192.0.2.1", *invalid, "2001:db8::1")
    assert result.status == 3
    assert [line.split()[2] for line in result.out.decode().splitlines()] == ["192.0.2.1", "2001:db8::1"]
    lines = [line for line in result.err.splitlines() if not line.startswith("  ")]
    assert len(lines) == len(invalid)
    assert all(line.startswith("sockeye: resolve: ") for line in lines)
    assert lines[0].startswith("sockeye: resolve: 10.0.0.256: ")


def test_localhost_is_loopback_whatever_the_resolver_knows(start, sockeye, tmp_path):
    """RFC 6761, 6.3; a bare root has no hosts file."""
    if not os.path.exists("/etc/hosts") or subprocess.run(
            ["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("an empty hosts file for the test alone takes /etc/hosts and a mount namespace")
    (tmp_path / "hosts").touch()
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions attempts:1 timeout:1\n",
                                          encoding="ascii")
    script = 'mount --bind hosts /etc/hosts && mount --bind resolv.conf /etc/resolv.conf && exec "$@"'

    def resolve(*words):
        return start("unshare", "--mount", "sh", "-c", script, "sh", sockeye, "resolve", "--json", *words,
                     cwd=tmp_path)
    process = resolve("localhost", "LOCALHOST.", "a.localhost")
    assert process.wait() == 0
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    for name in ("localhost", "LOCALHOST.", "a.localhost"):
        assert {row["address"] for row in rows if row["name"] == name} == {"::1", "127.0.0.1"}
    assert resolve("notlocalhost", "localhost.example").wait() == 3


def test_resolve_family_and_port(run_sockeye):
    assert answer(run_sockeye("resolve", "--json", "--family=4", "--port=https", "127.0.0.1")) == [
        {"v": 1, "name": "127.0.0.1", "family": "inet", "address": "127.0.0.1", "port": 443}]
    result = run_sockeye("resolve", "--family", "4", "::1")
    assert (result.status, result.out) == (3, b"")
    result = run_sockeye("resolve", "--family", "5", "::1")
    assert (result.status, result.err) == (2, "sockeye: resolve: --family takes 4|6, not '5'\n")
    assert run_sockeye("resolve", "--port", "65536", "::1").status != 0


def test_hostile_names_are_escaped(run_sockeye):
    hostile = os.fsdecode(b"\x1b]0;owned\x07\xe2\x80\xae\xff.invalid")
    result = run_sockeye("resolve", hostile)
    assert result.status == 3
    assert r"\x1b]0;owned\x07\u{202e}\xff.invalid" in result.err
    assert set(result.err) <= set(map(chr, range(32, 127))) | {"\n"}
    result = run_sockeye("convert", hostile)
    assert result.status == 2
    assert r"'\x1b]0;owned\x07\u{202e}\xff.invalid'" in result.err


# ---- convert ----

LITTLE = sys.byteorder == "little"


def swapped(number, bits):
    return int.from_bytes(number.to_bytes(bits // 8, "big"), sys.byteorder)


@pytest.mark.parametrize("number", [0, 1, 255, 256, 65535, 65536, 70000, 2**32 - 1, 2**32, 2**64 - 1])
def test_network_order_at_each_width(run_sockeye, number):
    row, = answer(run_sockeye("convert", "--json", str(number)))
    assert (row["kind"], row["dec"], row["hex"]) == ("int", number, hex(number))
    text = run_sockeye("convert", str(number)).out.decode()
    for bits in (16, 32, 64):
        form = f"net{bits}"
        alone = run_sockeye("convert", "--to", form, str(number))
        if number < 2**bits:
            assert row[form] == swapped(number, bits)
            assert row["big_endian"][form] == number
            assert alone == (0, f"{swapped(number, bits)}\n".encode(), "")
            assert f"  {form}   {swapped(number, bits)}  ({number} on a big-endian host)\n" in text
        else:
            assert row[form] is None and form not in row["big_endian"]
            assert (alone.status, alone.out) == (2, b"")
            assert f"it does not fit in {bits} bits" in alone.err
            assert f"  {form}   (does not fit in {bits} bits)\n" in text
    assert answer(run_sockeye("convert", "--json", hex(number)))[0]["dec"] == number


@pytest.mark.skipif(not LITTLE, reason="the sheet's numbers are those of a little-endian host")
def test_the_sheets_own_numbers(run_sockeye):
    row, = answer(run_sockeye("convert", "--json", "1"))
    assert (row["net16"], row["net32"], row["net64"]) == (256, 16777216, 72057594037927936)
    assert run_sockeye("convert", "--to", "net16", "256").out == b"1\n"
    assert run_sockeye("convert", "--to", "net32", "16777216").out == b"1\n"


@pytest.mark.parametrize("text, said", [
    (str(2**64), "does not fit in 64 bits"), (hex(2**64), "does not fit in 64 bits"),
    ("12345678901234567890123456789012", "does not fit in 64 bits"),
    ("10.0.0.256", "is no address"), ("007", "is no address"), ("0x", "is no address"),
    ("", "is no address"), ("1 ", "is no address"), ("00:11:32:3c:c3", "is no address"),
    ("00:11:32:3c:c3:0b:11", "is no address"), ("00:11-32:3c:c3:0b", "is no address"),
    ("00113.23c.c30b", "is no address"), ("7f00000g", "is no address"), ("7f0001", "is no address"),
])
def test_what_is_nothing(run_sockeye, text, said):
    result = run_sockeye("convert", text)
    assert (result.status, result.out) == (2, b"")
    assert result.err.splitlines()[0].startswith(f"sockeye: convert: '{text}' {said}")


@pytest.mark.parametrize("text, hint", [
    ("-1", "integers here have no sign"),
    ("fe80::1%lo", "a zone is no part of an address's bytes: leave it out"),
    ("[::1]:80", "give the address alone, without brackets and port"),
    ("127.0.0.1:80", "give the address alone, without brackets and port"),
])
def test_what_is_nearly_something(run_sockeye, text, hint):
    result = run_sockeye("convert", "--", text)
    assert result.status == 2
    assert result.err.splitlines()[1:] == [f"  {hint}"]


IPV6_HEX = "20010db8f00d0000000000000001000d"


@pytest.mark.parametrize("text, kind, forms", [
    ("127.0.0.1", "ipv4", {"dotted": "127.0.0.1", "hex": "7f000001", "dec": 2130706433,
                           "net32": swapped(0x7f000001, 32), "mapped": "::ffff:127.0.0.1",
                           "ptr": "1.0.0.127.in-addr.arpa"}),
    ("7f000001", "ipv4", {"dotted": "127.0.0.1", "hex": "7f000001"}),
    ("7F000001", "ipv4", {"dotted": "127.0.0.1"}),
    ("00000001", "ipv4", {"dotted": "0.0.0.1"}),
    ("2001:db8:f00d::1:d", "ipv6", {"hex": IPV6_HEX, "dec": str(int(IPV6_HEX, 16)), "ptr":
                                    ".".join(reversed(IPV6_HEX)) + ".ip6.arpa"}),
    (IPV6_HEX, "ipv6", {"colon": "2001:db8:f00d::1:d"}),
    ("2001:DB8:0:0:1:0:0:1", "ipv6", {"colon": "2001:db8::1:0:0:1"}),
    ("::ffff:192.0.2.128", "ipv6", {"dotted": "192.0.2.128", "mapped": "::ffff:192.0.2.128",
                                    "colon": "::ffff:192.0.2.128"}),
    ("00:11:32:3c:c3:0b", "mac", {"bare": "0011323cc30b", "colon": "00:11:32:3c:c3:0b",
                                  "dash": "00-11-32-3c-c3-0b", "dot": "0011.323c.c30b",
                                  "cast": "unicast", "admin": "universal", "dec": 0x0011323cc30b}),
    ("0011323cc30b", "mac", {"colon": "00:11:32:3c:c3:0b"}),
    ("001132300000", "mac", {"colon": "00:11:32:30:00:00"}),
    ("00-11-32-3C-C3-0B", "mac", {"bare": "0011323cc30b"}),
    ("00.11.32.3c.c3.0b", "mac", {"bare": "0011323cc30b"}),
    ("0011.323c.c30b", "mac", {"bare": "0011323cc30b"}),
    ("ff:ff:ff:ff:ff:ff", "mac", {"cast": "group", "admin": "local"}),
    ("01:00:5e:00:00:01", "mac", {"cast": "group", "admin": "universal"}),
    ("02:00:00:00:00:01", "mac", {"cast": "unicast", "admin": "local"}),
    ("10000001", "int", {"dec": 10000001}),
    ("123456789012", "int", {"dec": 123456789012, "dotted": None, "mapped": None, "ptr": None}),
    ("3221225985", "int", {"dotted": "192.0.2.1", "mapped": "::ffff:192.0.2.1"}),
])
def test_kinds_and_forms(run_sockeye, text, kind, forms):
    row, = answer(run_sockeye("convert", "--json", text))
    assert (row["v"], row["value"], row["kind"]) == (1, text, kind)
    assert {key: row[key] for key in forms} == forms


@pytest.mark.parametrize("kind, text, form, out", [
    ("hex", "10000001", "dotted", "16.0.0.1"), ("hex", "123456789012", "colon", "12:34:56:78:90:12"),
    ("mac", "123456789012", "dot", "1234.5678.9012"), ("ipv4", "1.2.3.4", "hex", "01020304"),
    ("ipv6", "::", "hex", "0" * 32), ("int", "0x7f", "dec", "127"),
])
def test_the_kind_can_be_said(run_sockeye, kind, text, form, out):
    assert run_sockeye("convert", "--from", kind, "--to", form, text) == (0, f"{out}\n".encode(), "")


@pytest.mark.parametrize("kind, text", [
    ("ipv4", "::1"), ("ipv6", "127.0.0.1"), ("mac", "127.0.0.1"), ("int", "7f"), ("hex", "7f0001")])
def test_a_kind_that_the_text_is_not(run_sockeye, kind, text):
    result = run_sockeye("convert", "--from", kind, text)
    assert (result.status, result.out) == (2, b"")
    assert f"'{text}' is not " in result.err


def test_forms_are_exactly_those_of_the_kind(run_sockeye):
    every = ["dotted", "colon", "dash", "dot", "bare", "hex", "dec", "net16", "net32", "net64",
             "mapped", "ptr"]
    for text in ("127.0.0.1", "::1", "00:11:32:3c:c3:0b", "1"):
        row, = answer(run_sockeye("convert", "--json", text))
        own = [form for form in every if form in row]
        for form in every:
            result = run_sockeye("convert", "--to", form, text)
            if form in own:
                assert result == (0, f"{row[form]}\n".encode(), "")
                continue
            assert (result.status, result.out) == (2, b"")
            assert f"which has no {form} form\n  its forms: {' '.join(own)}\n" in result.err


def test_one_bad_value_does_not_hide_the_others(run_sockeye):
    result = run_sockeye("convert", "--to", "hex", "127.0.0.1", "nonsense", "::1")
    assert result.status == 2
    assert result.out.decode().split() == ["7f000001", "0" * 31 + "1"]
    assert len(result.err.splitlines()) == 1
