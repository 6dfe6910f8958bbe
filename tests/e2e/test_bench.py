"""bench: this machine measured, briefly; what is asserted is that the figures are there and make sense."""

import json
import os
import pathlib

import pytest

import processes

ECHO_LOADS = {"tcp", "tcp connect", "udp", "udp joined"}
BRIEF = ("--duration", "20ms")


def rows_of(result):
    assert (result.status, result.err) == (0, ""), result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert rows and all(row["v"] == 1 for row in rows)
    return rows


def test_echo(run_sockeye, engine):
    rows = rows_of(run_sockeye("bench", "--json", *BRIEF, "--engine", engine, "--connections", "2", "--size",
                               "100", "echo"))
    assert [row["load"] for row in rows] == ["tcp", "tcp connect", "udp", "udp joined"]
    for row in rows:
        assert (row["bench"], row["engine"], row["size"]) == ("echo", engine, 100)
        assert row["per_s"] > 0 and row["cpu_us"] > 0
        if row["load"].startswith("tcp"):
            assert row["connections"] == 2 and row["lost"] == 0
            assert 0 < row["p50_us"] <= row["p99_us"]


def test_the_cases_that_are_measured_unless_said(run_sockeye):
    rows = rows_of(run_sockeye("bench", "--json", *BRIEF, "--engine", "auto", "echo"))
    tcp = [(row["connections"], row["size"]) for row in rows if row["load"] == "tcp"]
    assert tcp == [(1, 64), (50, 64), (50, 65536)]
    assert {row["load"] for row in rows} == ECHO_LOADS


def test_every_engine_that_this_host_allows(run_sockeye):
    usable = [row["name"] for row in map(json.loads, run_sockeye("doctor", "--json").out.splitlines())
              if row.get("area") == "engine" and row["status"] == "usable"]
    rows = rows_of(run_sockeye("bench", "--json", *BRIEF, "--connections", "1", "relay"))
    assert [row["engine"] for row in rows] == usable
    for row in rows:
        assert row["bench"] == "relay" and row["gb_per_s"] > 0 and row["cpu_s_per_gb"] > 0


def test_copy(run_sockeye, tmp_path):
    rows = rows_of(run_sockeye("bench", "--json", "--duration", "1ms", "--size", "3M", "copy", cwd=tmp_path))
    assert [row["way"] for row in rows] == ["copy", "copy_file_range", "sendfile", "read and write", "send and recv",
                                            "the same, no digest"]
    for row in rows:
        assert row["bench"] == "copy" and row["size_bytes"] == 3_000_000
        assert row["gb_per_s"] > 0 and row["cpu_s_per_gb"] > 0
    assert os.listdir(tmp_path) == []


def test_a_table_for_people(run_sockeye):
    result = run_sockeye("bench", *BRIEF, "--engine", "poll", "relay", "echo")
    assert (result.status, result.err) == (0, "")
    lines = result.out.decode().splitlines()
    assert lines[0].split()[:3] == ["engine", "bytes", "conns"] and lines[3].startswith("load")
    assert [line.split()[0] for line in lines[1:3]] == ["poll", "poll"]
    assert len(lines) == 3 + 1 + 6
    # The columns stand below their titles.
    for title in ("requests/s", "p50 us", "lost"):
        end = lines[3].index(title) + len(title)
        assert all(line[end - 1].isdigit() and line[end:end + 1] in ("", " ") for line in lines[4:])


def test_large_datagrams_are_left_out(run_sockeye):
    rows = rows_of(run_sockeye("bench", "--json", *BRIEF, "--engine", "auto", "--size", "100k", "echo"))
    assert {row["load"] for row in rows} == {"tcp", "tcp connect"}


@pytest.mark.parametrize("args, status, line", [
    (["ech"], 2, "nothing called 'ech' can be measured"),
    ([], 2, "too few arguments"),
    (["echo", "--duration", "20m"], 2, "--duration is more than 0 and at most 10m"),
    (["echo", "--size", "0"], 2, "--size takes a size: 64k, 10M, 1GiB, not '0'"),
    (["echo", "--size", "2GiB"], 2, "--size is at most 1GiB"),
    (["echo", "--connections", "1000000"], 2, "--connections is at most"),
    (["echo", "--engine", "epol"], 2, "unknown engine 'epol'"),
])
def test_what_is_refused(run_sockeye, args, status, line):
    result = run_sockeye("bench", *args)
    assert (result.status, result.out) == (status, b"") and line in result.err.splitlines()[0]


def test_too_few_descriptors(start, sockeye):
    process = start("prlimit", "--nofile=9:9", sockeye, "bench", *BRIEF, "--engine", "epoll", "relay")
    assert process.wait() == 1
    assert "too many open files" in process.stderr


def test_ended_by_a_signal_it_leaves_no_server(start, sockeye):
    """The harness looks whether anything is left."""
    process = start(sockeye, "bench", "--json", "--duration", "1m", "--engine", "epoll", "--connections", "1",
                    "echo")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    processes.eventually(children.read_text, "a server")
    assert process.stop() == 128 + 15


def test_the_answer_cannot_be_written(start, sockeye):
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        process = start(sockeye, "bench", *BRIEF, "--engine", "epoll", "--connections", "1", "relay", stdout=fd)
        assert process.wait() == 1
    finally:
        os.close(fd)
    assert "standard output" in process.stderr
