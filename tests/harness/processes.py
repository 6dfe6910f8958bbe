"""Child processes for black-box tests: started, awaited by what they say, stopped, and accounted for.

A test waits for an event (a line of output, a JSON event, an exit) and gives up at a deadline, and what
it then raises holds all that the process had said.
"""

import collections
import ctypes
import errno
import json
import os
import re
import signal
import subprocess
import threading
import time

DEADLINE_S = float(os.environ.get("SOCKEYE_TEST_DEADLINE", "20"))
SANITIZER = re.compile(rb"ERROR: \w+Sanitizer|runtime error:|ERROR SUMMARY: [1-9]")
PR_SET_CHILD_SUBREAPER = 36

Address = collections.namedtuple("Address", "host port text")
Address.__doc__ = "Where something listens: host and port, or for a Unix socket its path and None."

Result = collections.namedtuple("Result", "status out err")
Result.__doc__ = "An ended command: exit status as a shell sees it, output as bytes, errors as text."


def become_subreaper():
    """Orphans of our children come to us, so that none can be left behind unseen (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shell_status(returncode):
    return 128 - returncode if returncode < 0 else returncode


def parse_address(text):
    match = re.fullmatch(r"\[(.*)\]:(\d+)|([^:/@]*):(\d+)", text)
    if not match:
        return Address(text, None, text)
    return Address(match[1] or match[3] or "", int(match[2] or match[4]), text)


def eventually(check, what, timeout=None):
    """Waits until check() is true, for what nobody announces: looks again and again, until a deadline.
    Returns what check() returned."""
    deadline = time.monotonic() + (timeout or DEADLINE_S)
    while not (found := check()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.005)
    return found


def never(check, what, seconds=0.15):
    """Watches for a short while that check() stays false. What is not to happen has no event, and what
    happens later than that passes unseen: a test says why it would have happened at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not check(), f"came, and should not have: {what}"
        time.sleep(0.005)


class Collector:
    """Reads a descriptor to its end on a thread of its own; others wait for what they look for."""

    def __init__(self, stream):
        self._stream = stream
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                piece = os.read(self._stream.fileno(), 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # a pseudo-terminal's end
                    raise
                piece = b""
            with self._changed:
                self._take(piece)
                self.ended = not piece
                self._changed.notify_all()
                if self.ended:
                    break
        self._stream.close()

    def _take(self, piece):
        self._bytes += piece

    def _copy(self):
        return bytes(self._bytes)

    @property
    def data(self):
        """What has come so far."""
        with self._changed:
            return self._copy()

    def wait_for(self, find, timeout):
        """Returns what find(data) returns once that is not None, or None at the deadline."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = find(self._copy())
                left = deadline - time.monotonic()
                if found is not None or left <= 0 or self.ended:
                    return found
                self._changed.wait(left)

    def join(self, timeout):
        self._thread.join(timeout)
        return self.ended


class EventCollector(Collector):
    """The same for JSON lines, whose data is a list of objects."""

    def __init__(self, stream):
        self._list = []
        super().__init__(stream)

    def _take(self, piece):
        super()._take(piece)
        whole, newline, rest = self._bytes.rpartition(b"\n")
        if newline:
            self._list += [json.loads(line) for line in whole.splitlines()]
            self._bytes = rest

    def _copy(self):
        return self._list[:]


class Process:
    """A running child. Its output is always read, so that it never blocks on us unless a test gives
    a descriptor of its own as stdout."""

    may_leave_children = True  # other people's programs; they are killed all the same

    def __init__(self, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options):
        self.argv = [str(word) for word in argv]
        env = dict(os.environ, LC_ALL="C.UTF-8", **options.pop("env", {}))
        self.child = subprocess.Popen(
            self.argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
            start_new_session=True, env=env, bufsize=0, **options)
        self._out = Collector(self.child.stdout) if self.child.stdout else None
        self._err = Collector(self.child.stderr)
        self._collectors = [c for c in (self._out, self._err) if c]
        self.unlink_at_end = []

    @property
    def pid(self):
        return self.child.pid

    @property
    def stdout(self):
        return self._out.data

    @property
    def stderr(self):
        return self._err.data.decode(errors="backslashreplace")

    def __repr__(self):
        out = self._out.data[-2000:] if self._out else b""
        return (f"{' '.join(self.argv)}\n  status {self.child.poll()}\n  stdout {out!r}\n"
                f"  stderr {self.stderr[-4000:]}")

    def send(self, data):
        """Writes to its standard input; a str is sent as UTF-8."""
        view = memoryview(data.encode() if isinstance(data, str) else data)
        while view:
            view = view[self.child.stdin.write(view):]

    def close_stdin(self):
        self.child.stdin.close()

    def _await(self, collector, pattern, what, timeout):
        if isinstance(pattern, str):
            pattern = pattern.encode()
        found = collector.wait_for(lambda data: re.search(pattern, data), timeout or DEADLINE_S)
        assert found, f"{what} never held {pattern!r}: {self!r}"
        return found

    def wait_stdout(self, pattern, timeout=None):
        """Waits until the output so far matches a regular expression; returns the match (bytes)."""
        return self._await(self._out, pattern, "stdout", timeout)

    def wait_stderr(self, pattern, timeout=None):
        return self._await(self._err, pattern, "stderr", timeout)

    def stdout_ended(self):
        return self._out.ended

    def running(self):
        return self.child.poll() is None

    def wait(self, timeout=None):
        """Waits for its end; returns the exit status as a shell sees it."""
        try:
            status = shell_status(self.child.wait(timeout or DEADLINE_S))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end: {self!r}") from None
        for collector in self._collectors:
            assert collector.join(DEADLINE_S), f"ended, but its output is still held open: {self!r}"
        return status

    def kill(self, signum):
        self.child.send_signal(signum)

    def stop(self, signum=signal.SIGTERM, timeout=None):
        """Signals it if it still runs; returns its exit status as a shell sees it."""
        if self.running():
            self.kill(signum)
        return self.wait(timeout)

    def descriptors(self):
        """What it has open: number to target, as /proc shows them (proc(5))."""
        folder = f"/proc/{self.pid}/fd"
        open_now = {}
        for name in os.listdir(folder):
            try:
                open_now[int(name)] = os.readlink(f"{folder}/{name}")
            except FileNotFoundError:
                continue
        return open_now

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        """Ends it and all that it started, and returns what was wrong with it, a list of words."""
        faults = []
        if self.running():
            self.kill(signal.SIGCONT)
            self.kill(signal.SIGTERM)
            try:
                self.child.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                faults.append("did not end on SIGTERM")
                self.child.kill()
                self.child.wait()
        left = end_group(self.pid)
        if left and not self.may_leave_children:
            faults.append(f"left processes running: {left}")
        for collector in self._collectors:
            if not collector.join(DEADLINE_S):
                faults.append("its output is still held open")
        if self.child.stdin:
            try:
                self.child.stdin.close()
            except BrokenPipeError:
                pass
        if SANITIZER.search(self._err.data):
            faults.append("a sanitizer complained")
        for path in self.unlink_at_end:
            if os.path.lexists(path):
                os.unlink(path)
        return [f"{fault}: {self!r}" for fault in faults]


def end_group(pgid):
    """Kills what is left of a process group whose leader has been reaped; returns their ids. They are
    our children by now, see become_subreaper."""
    left = []
    while True:
        try:
            pid, _ = os.waitpid(-pgid, os.WNOHANG)
        except ChildProcessError:
            return left
        if pid == 0:  # some still run
            try:
                os.killpg(pgid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            pid, _ = os.waitpid(-pgid, 0)
            left.append(pid)


class Sockeye(Process):
    """A running sockeye whose --events go through a pipe to us."""

    may_leave_children = False

    def __init__(self, binary, command, *args, prefix=(), events=True, pass_fds=(), **options):
        options_of_ours = []
        if events:
            read_end, write_end = os.pipe()
            options_of_ours = ["--events", write_end]
            pass_fds = (*pass_fds, write_end)
        try:
            super().__init__([*prefix, binary, command, *options_of_ours, *args],
                             pass_fds=pass_fds, **options)
        finally:
            if events:
                os.close(write_end)
        self._events = EventCollector(os.fdopen(read_end, "rb", buffering=0)) if events else None
        if events:
            self._collectors.append(self._events)

    @property
    def events(self):
        return self._events.data

    def wait_events(self, count, name, timeout=None, **match):
        """Waits for a number of events of this name whose fields have these values; returns them."""
        def find(events):
            found = [event for event in events if event["event"] == name
                     and all(event.get(key) == value for key, value in match.items())]
            return found if len(found) >= count else None
        found = self._events.wait_for(find, timeout or DEADLINE_S)
        if found is None:
            said = "\n  ".join(json.dumps(event) for event in self.events[-50:])
            raise AssertionError(f"no {count} '{name}' events with {match}, but:\n  {said}\n{self!r}")
        return found

    def wait_event(self, name, timeout=None, **match):
        """Waits for the first event of this name whose fields have these values."""
        return self.wait_events(1, name, timeout, **match)[0]

    def listening(self, index=0):
        """Waits until it listens; returns the Address of its index-th listener."""
        return parse_address(self.wait_events(index + 1, "listening")[index]["address"])
