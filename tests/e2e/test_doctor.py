"""doctor: what this host allows, by trying it, for people, for programs and for these tests."""

import json
import os
import resource

import pytest

ENGINES = ["io_uring", "epoll", "kqueue", "poll", "select", "thread"]


def rows_of(result):
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.fixture
def rows(run_sockeye):
    result = run_sockeye("doctor", "--json")
    assert (result.status, result.err) == (0, "")
    return rows_of(result)


def test_rows_have_their_fields(rows):
    for row in rows:
        assert row["v"] == 1 and row["area"] and row["name"]
        if row["area"] == "build":
            assert row["detail"]
            continue
        if row["area"] == "cipher":
            assert row["id"] > 0 and row["protocol"] and row["description"]
            assert row["strength_bits"] >= 112 and row["alg_bits"] >= 112
            continue
        assert row["status"] in ("usable", "denied", "absent")
        if row["status"] != "usable":
            assert row["errno"] > 0 and row["error"] and row["cause"]
    names = [(row["area"], row["name"]) for row in rows]
    assert len(set(names)) == len(names)


def test_what_is_there(rows):
    by_area = {}
    for row in rows:
        by_area.setdefault(row["area"], []).append(row["name"])
    assert by_area["engine"] == ENGINES
    assert set(by_area["net"]) >= {"ipv4", "ipv6", "dual-stack"}
    assert "splice" in by_area["move"] and "reopen" in by_area["stdio"]
    assert set(by_area["limit"]) >= {"descriptors", "backlog"}
    assert set(by_area["build"]) >= {"version", "kernel", "machine"}


def test_this_host_as_the_test_sees_it(rows):
    by_name = {(row["area"], row["name"]): row for row in rows}
    assert by_name["net", "ipv4"]["status"] == "usable"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert by_name["limit", "descriptors"]["detail"].startswith(f"{soft} at once, {hard} at most")
    assert by_name["build", "machine"]["detail"] == os.uname().machine
    assert os.uname().release in by_name["build", "kernel"]["detail"]
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as limit:
        assert limit.read().strip() in by_name["limit", "backlog"]["detail"]


def test_for_people(run_sockeye, rows):
    result = run_sockeye("doctor")
    assert (result.status, result.err) == (0, "")
    text = result.out.decode()
    for row in rows:
        if row["area"] == "cipher":
            continue  # a list for programs
        assert any(line.split()[:1] == [row["area"]] and row["name"] in line for line in text.splitlines())


@pytest.mark.parametrize("word", ["epoll", "engine/epoll", "poll", "select"])
def test_one_mechanism(run_sockeye, word):
    result = run_sockeye("doctor", "--json", word)
    row, = rows_of(result)
    assert result.status == (0 if row["status"] == "usable" else 8)
    assert row["name"] == word.rpartition("/")[2]


def test_an_unknown_mechanism(run_sockeye):
    result = run_sockeye("doctor", "epol")
    assert result.status == 2 and "did you mean 'epoll'?" in result.err and not result.out


def test_a_limit_of_descriptors_is_seen(start, sockeye):
    process = start("prlimit", "--nofile=64:64", sockeye, "doctor", "--json", "descriptors")
    assert process.wait() == 0
    assert json.loads(process.stdout)["detail"].startswith("64 at once, 64 at most")


def test_ipv6_that_is_switched_off(start, sockeye, netns):
    """A mechanism that this host lacks: its row says so, its cause, and what is used instead."""
    a, _ = netns
    off = start(*a.enter, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6")
    if off.wait():
        pytest.skip(f"IPv6 cannot be switched off here: {off.stderr.strip()}")
    process = start(*a.enter, sockeye, "doctor", "--json", "net/ipv6")
    assert process.wait() == 8
    row = json.loads(process.stdout)
    assert row["status"] == "absent" and "disable_ipv6" in row["cause"] and row["instead"] == "IPv4"


def test_no_splice(start, sockeye):
    """Denied by hand: a process limit that leaves no descriptor for a pipe."""
    process = start("prlimit", "--nofile=4:4", sockeye, "doctor", "--json", "splice")
    assert process.wait() == 8
    row = json.loads(process.stdout)
    assert row["status"] == "denied" and row["instead"] == "copying"


def test_an_answer_that_cannot_be_written_is_no_success(start, sockeye):
    with open("/dev/full", "wb") as stdout:
        process = start(sockeye, "doctor", stdout=stdout)
        assert process.wait() == 1
    assert "no space left on device" in process.stderr
