"""How something is measured: processes on CPUs of their own, and what they used.

CPU time is read from the processes' clocks (clock_getcpuclockid(3)), in nanoseconds, for a server and all of its
children that live, and from /proc/PID/stat (proc(5)) for those that ended.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

WAIT_S = 60


class Failed(Exception):
    """What was to be measured did not do its work, and why."""


def cpus():
    """The CPU of what is measured, and that of what loads it: the same one where there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


@contextlib.contextmanager
def on_cpu(number):
    """What is started meanwhile stays on that CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_bound(port, table, state):
    """Whether a socket of the port is in that state, by the kernel's table and not by trying."""
    wanted = f":{port:04X}"
    lines = pathlib.Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    return any(fields[1].endswith(wanted) and fields[3] == state for fields in map(str.split, lines))


LISTENS = {socket.SOCK_STREAM: ("tcp", "0A"), socket.SOCK_DGRAM: ("udp", "07")}


def family(pid):
    """A process and all that it started."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                found += family(int(child))
    return found


def process_clock(pid):
    """clock_getcpuclockid(3)"""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)
    return 0.0


def ended_children_cpu(pid):
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def cpu_seconds(pid):
    return sum(process_clock(member) + ended_children_cpu(member) for member in family(pid))


def resident_bytes(pid):
    """What a process and its children hold of memory, shared pages in their proportion. Pages of programs and
    libraries do not count: their proportion changes with who else has them."""
    kib = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text(encoding="ascii")
            kib += sum(int(line.split()[1]) for line in rollup.splitlines()
                       if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return kib * 1024


class Server:
    """A server that runs on its CPU until the block ends."""

    def __init__(self, words, port, kind=socket.SOCK_STREAM, cpu=None):
        self.words, self.port, self.kind = words, port, kind
        self.cpu = cpus()[0] if cpu is None else cpu
        self.log = tempfile.TemporaryFile()
        self.process = None

    def __enter__(self):
        with on_cpu(self.cpu):
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            start_new_session=True)
        deadline = time.monotonic() + WAIT_S
        while not is_bound(self.port, *LISTENS[self.kind]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                said = self.log.read().decode(errors="replace")
                self.__exit__()
                raise Failed(f"{' '.join(self.words)} does not serve: {said.strip() or 'it says nothing'}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        members = family(self.process.pid)
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def resident_bytes(self):
        return resident_bytes(self.process.pid)


class Load:
    """The load generator (load.c) on the other CPU."""

    def __init__(self, program, *words):
        self.words = [str(program), *map(str, words)]
        self.process = None
        self.sink = 0

    def __enter__(self):
        with on_cpu(cpus()[1]):
            self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True, bufsize=1)
        self.sink = int(self._line().split()[1])
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the load ended: {self.process.stderr.read().strip()}")
        return line

    def _tell(self, word):
        self.process.stdin.write(f"{word}\n")

    def connect(self, port):
        self._tell(port)
        self._line()

    def run(self):
        self._tell("go")
        return json.loads(self._line())


class Sink:
    """Takes a connection at a port and throws what comes away in the kernel (MSG_TRUNC, tcp(7)), in a process
    of its own on the other CPU."""

    PROGRAM = ("import socket, sys\n"
               "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
               "c = s.accept()[0]\n"
               "b = bytearray(1 << 20)\n"
               "while c.recv_into(b, 1 << 20, socket.MSG_TRUNC): pass\n")

    def __init__(self, port):
        self.server = Server([sys.executable, "-c", self.PROGRAM, str(port)], port, cpu=cpus()[1])

    def __enter__(self):
        return self.server.__enter__()

    def __exit__(self, *_):
        self.server.__exit__()


def run_command(words, folder):
    """Runs a command to its end on its CPU and returns its CPU seconds, those of its children with them."""
    with tempfile.TemporaryFile() as log, on_cpu(cpus()[0]):
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise Failed(f"{' '.join(words)}: status {process.returncode}: {log.read().decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime


def installed(program):
    return shutil.which(program) is not None or os.access(program, os.X_OK)
