"""Fixtures of the black-box tests and the soak.

The command under test is $SOCKEYE (its path). Everything is awaited, never slept for; every port is
picked by the kernel; every process, socket file and namespace that a test makes is gone after it, and
a test that leaves one fails. In harness/, processes.py has what a started process can do, and peers.py
the peers.
"""

import collections
import functools
import itertools
import json
import os
import pathlib
import shutil
import stat
import subprocess
import zlib

import pytest

import peers as peers_module
import processes


def pytest_configure():
    processes.become_subreaper()


def is_sampled_out(item):
    """Under a sanitizer, which makes each process dear, a case runs on one of the engines, by its place in the
    table: what an engine does itself, the unit tests run there on each."""
    engine = getattr(item, "callspec", None) and item.callspec.params.get("engine")
    if not engine or not os.environ.get("SOCKEYE_SANITIZED"):
        return False
    row = item.nodeid.replace(f"{engine}-", "").replace(f"-{engine}", "")
    return engines()[zlib.crc32(row.encode()) % len(engines())] != engine


def pytest_collection_modifyitems(config, items):
    out = [item for item in items if is_sampled_out(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]
    if os.environ.get("SOCKEYE_SANITIZED"):
        for item in items:
            if item.get_closest_marker("not_sanitized"):
                item.add_marker(pytest.mark.skip(reason="a sanitizer distorts what it measures"))


@functools.lru_cache
def binary():
    path = os.environ.get("SOCKEYE")
    if not path:
        raise pytest.UsageError("SOCKEYE is not set: it names the command under test")
    if not os.access(path, os.X_OK):
        raise pytest.UsageError(f"SOCKEYE={path} cannot be run")
    return str(pathlib.Path(path).resolve())


# ---- what this host allows, by doctor's word ----

@functools.lru_cache
def doctor():
    """What `sockeye doctor --json` says, a list of rows."""
    out = subprocess.run([binary(), "doctor", "--json"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, check=False, timeout=processes.DEADLINE_S).stdout
    return [json.loads(line) for line in out.splitlines()]


def unusable_reason(area, name):
    """Why a mechanism cannot be tested here, or None where it can."""
    for row in doctor():
        if (row.get("area"), row.get("name")) == (area, name):
            if row["status"] == "usable":
                return None
            return f"{area} {name} is {row['status']}: {row.get('cause') or row.get('error')}"
    return f"{area} {name} is not among what doctor lists"


def engines():
    """All but kqueue, which is of other systems and whose code runs in the unit tests."""
    return [row["name"] for row in doctor() if row.get("area") == "engine" and row["name"] != "kqueue"]


def pytest_generate_tests(metafunc):
    """A test with the argument `engine` runs once on each engine, and is skipped by name where this
    host refuses one."""
    if "engine" in metafunc.fixturenames:
        names = engines()
        if not names:
            raise pytest.UsageError("sockeye doctor --json lists no engines")
        metafunc.parametrize("engine", [
            pytest.param(name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
            for name, reason in ((name, unusable_reason("engine", name)) for name in names)])


@pytest.fixture
def needs():
    """needs("net", "splice") skips the test where doctor says that the mechanism is not to be had."""
    def check(area, name):
        reason = unusable_reason(area, name)
        if reason:
            pytest.skip(reason)
    return check


# ---- processes ----

@pytest.fixture
def sockeye():
    """The path of the command under test."""
    return binary()


@pytest.fixture
def _children():
    started = []
    yield started
    faults = [fault for process in reversed(started) for fault in process.end()]
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.fixture(autouse=True)
def _no_socket_left(request, tmp_path):
    """Set up before the processes are, so it looks after they have ended."""
    yield
    if request.node.get_closest_marker("leaves_sockets"):
        return
    left = [str(path) for path in tmp_path.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]
    assert not left, f"socket files were left behind: {left}"


@pytest.fixture
def start(_no_socket_left, _children):
    """start(program, *args, **options) starts any program; it is ended after the test."""
    def start_program(*argv, **options):
        process = processes.Process(argv, **options)
        _children.append(process)
        return process
    return start_program


@pytest.fixture
def start_sockeye(_no_socket_left, _children):
    """start_sockeye(command, *args) starts sockeye with its events piped to us: see
    processes.Sockeye. prefix=(...) puts words before it, events=False leaves its events alone."""
    def start_command(*args, **options):
        process = processes.Sockeye(binary(), *args, **options)
        _children.append(process)
        return process
    return start_command


@pytest.fixture
def run_sockeye(start):
    """run_sockeye(*args, stdin=b"..." or a file, timeout=...) runs sockeye to its end and returns a
    Result: the exit status as a shell sees it, standard output as bytes, standard error as text."""
    def run(*args, stdin=b"", timeout=None, **options):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        if isinstance(stdin, bytes):
            read_end = os.memfd_create("stdin")
            os.write(read_end, stdin)
            os.lseek(read_end, 0, os.SEEK_SET)
            try:
                process = start(binary(), *args, stdin=read_end, **options)
            finally:
                os.close(read_end)
        else:
            process = start(binary(), *args, stdin=stdin, **options)
        status = process.wait(timeout)
        return processes.Result(status, process.stdout if process.child.stdout else b"", process.stderr)
    return run


# ---- peers ----

@pytest.fixture
def peers(start):
    """Other people's programs: see peers.Peers."""
    return peers_module.Peers(start)


@pytest.fixture
def http_server(tmp_path):
    """http_server(folder) serves a folder over HTTP until the test ends."""
    servers = []

    def serve(folder):
        servers.append(peers_module.HttpServer(folder))
        return servers[-1]
    yield serve
    for server in servers:
        server.close()


# ---- namespaces ----

Host = collections.namedtuple("Host", "name enter interface ip4 ip6 link_local")
Host.__doc__ = """A test host, which is a network namespace: enter is the words to put before a command
that is to run there; link_local has no zone, `interface` is its zone's name."""

_namespace_number = itertools.count()


@pytest.fixture
def netns():
    """Two test hosts joined by a cable (veth(4)), a pair of Host."""
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed")
    stem = f"eye{os.getpid()}x{next(_namespace_number)}"
    hosts = [Host(stem + side, ("nsenter", f"--net=/run/netns/{stem}{side}"), f"eye{side}",
                  f"198.51.100.{number}", f"2001:db8::{number}", f"fe80::{number}")
             for number, side in ((1, "a"), (2, "b"))]

    def do(*words):
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    made = []
    try:
        for host in hosts:
            try:
                do("ip", "netns", "add", host.name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this host allows no network namespaces: {error.stderr.strip()}")
            made.append(host)
        a, b = hosts
        do("ip", "link", "add", a.interface, "netns", a.name, "type", "veth",
           "peer", "name", b.interface, "netns", b.name)
        for host in hosts:
            ip = (*host.enter, "ip")  # `ip -netns` wants mounts of its own, which a bare root refuses
            do(*ip, "link", "set", "lo", "up")
            do(*ip, "link", "set", host.interface, "addrgenmode", "none", "up")
            do(*ip, "address", "add", f"{host.ip4}/24", "dev", host.interface)
            for address in (host.ip6, host.link_local):
                do(*ip, "address", "add", f"{address}/64", "dev", host.interface, "nodad")
        do(*a.enter, "ping", "-q", "-c", "1", "-i", "0.2", "-w", "10", b.ip4)
        yield a, b
    finally:
        for host in made:
            do("ip", "netns", "delete", host.name)
