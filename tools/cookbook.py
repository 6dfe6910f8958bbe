#!/usr/bin/env python3
"""Keeps the cookbook true: cookbook.py check|refresh BUILD

A fenced block of docs/cookbook/en says in its first line what it is:

    ```c examples/NAME.c      the file, whole
    ```console                a terminal: each line "$ COMMAND" is run, what follows it is what it printed
    ```console server         the same with a server, which runs until the next one or the page's end

`check` prints, as TAP, whether every block is what it should be and whether the other languages have the
same rows and blocks; `refresh` writes the blocks anew, in every language. Commands run on a host made for them
(namespaces(7)): its name and addresses are the ones in the book, every port is free, and nothing is left behind.
"""

import contextlib
import difflib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BOOK = ROOT / "docs/cookbook"
LANGUAGES = ("en", "zh")  # the first one's commands are run
DEADLINE_S = float(os.environ.get("SOCKEYE_TEST_DEADLINE", "30"))
QUIET_S = 1.0

BLOCK = re.compile(r"^```(c|console)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
ROW = re.compile(r"^## (\d+(?:, \d+)*)\. ", re.M)
COMMAND = re.compile(r"^\$ (.*)\n", re.M)

# What differs from one run to the next.
VARYING = [
    (re.compile(r"\r\n"), "\n"),
    (re.compile(r"(?<=[\d\]]:)(?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\b"), "50000"),
    (re.compile(r"\bin \d+ ms\b"), "in 1 ms"),
    (re.compile(r"\bsha256:[0-9a-f]{64}\b"), "sha256:" + "0123456789abcdef" * 4),
    # Packets: when they came, and what their senders count from.
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{6}\b"), "12:00:00.000000"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"), "2026-11-24T12:00:00.000000000Z"),
    (re.compile(r"\b(echo re(?:quest|ply) id) \d+"), r"\1 1"),
    (re.compile(r"^(Source Port): (?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})$", re.M),
     r"\1: 50000"),
    (re.compile(r"^( *)(Identification|Checksum|Sequence Number|Acknowledgment Number|Time stamp|Echo reply): \d+$",
                re.M), r"\1\2: 1"),
    (re.compile(r"(?<=\()io_uring(?=\)$)|(?<= by )io_uring$", re.M), "epoll"),  # what auto is
]

UNSHARE = ["unshare", "--map-root-user", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child",
           "--mount-proc"]
HOST = "www"
FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n192.0.2.7 www.example.org www\n"
                  "2001:db8::7 www.example.org www\n",
    "/etc/nsswitch.conf": "hosts: files\nservices: files\n",
}


class Failed(Exception):
    pass


# ---- the host ----

def neighbour_commands():
    """Another host on eth0: a process that holds its network, and ends with ours."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    holder.stdout.readline()
    there = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    ends = (([], "eth0", 1), (there, "eth1", 2))
    link = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", str(holder.pid)]
    return [link] + [[*enter, "ip", *words] for enter, name, number in ends for words in (
        ["link", "set", name, "addrgenmode", "none", "address", f"02:00:00:00:00:0{number}", "up"],
        ["address", "add", f"198.51.100.{number}/24", "dev", name])]


def become_host(scratch):
    """Inside the new namespaces: gives the host its name, its loopback and its files."""
    commands = [["hostname", HOST], ["ip", "link", "set", "lo", "up"],
                ["ip", "-6", "address", "add", "fe80::1/64", "dev", "lo", "nodad"],
                *neighbour_commands()]
    for path, text in FILES.items():
        own = scratch / path.replace("/", "_")
        own.write_text(text)
        commands.append(["mount", "--bind", own, path])
    for command in commands:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
        if done.returncode:
            raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


# ---- terminals ----

def normal(text):
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text


class Terminal:
    """A shell that runs a block's commands, and shows them as they would be seen."""

    def __init__(self, commands, folder, path):
        script = "\n".join(f"printf '%s\\n' {quoted('$ ' + command)}\n{command}" for command in commands)
        self._fd, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self._child = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
            start_new_session=True, umask=0o022, env={"PATH": path, "LC_ALL": "C.UTF-8", "TERM": "dumb"})
        os.close(theirs)
        self._said = b""

    def text(self):
        return normal(self._said.decode())

    def _read(self, timeout):
        """Reads once; false when there was nothing."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return False
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            piece = os.read(self._fd, 65536)
            self._said += piece
            return bool(piece)
        return False

    def wait_for(self, done, what):
        deadline = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > deadline:
                raise Failed(f"{what}; it says:\n{self.text()}")
            self._read(0.02)

    def wait_end(self):
        self.wait_for(lambda: self._child.poll() is not None, "does not end")
        while self._read(0):
            pass
        return self.text()

    def wait_quiet(self, wanted):
        """Until it has said what is wanted of it, or nothing for a while."""
        while self.text() != wanted and self._read(QUIET_S):
            pass

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGTERM)
        self._child.wait()
        while self._read(0.02):
            pass
        os.close(self._fd)
        return self.text()


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def run_page(blocks, build, say):
    """Runs a page's blocks in their order; gives say(index, text) what each should be."""
    server, server_at, clients = None, None, []
    path = f"{build}/cmd:{os.environ['PATH']}"

    def end_server():
        nonlocal server
        while clients:
            clients.pop().end()
        if server:
            ended, server = server, None
            ended.wait_quiet(say.wanted(server_at))
            say(server_at, ended.end())

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as at_end:
        at_end.callback(end_server)
        os.symlink(build, f"{folder}/build")
        for index, (language, what, text) in enumerate(blocks):
            if language == "c":
                say(index, (ROOT / what).read_text(encoding="utf-8"))
                continue
            if what == "server":
                end_server()
            terminal = Terminal(COMMAND.findall(text), folder, path)
            if what == "server":
                server, server_at = terminal, index
                server.wait_for(lambda: "listening on" in server.text(), "does not listen")
            else:
                clients.append(terminal)
                say(index, terminal.wait_end())


# ---- pages ----

def pages_of(language):
    return sorted(path.name for path in (BOOK / language).glob("*.md") if path.name != "README.md")


def page(language, name):
    try:
        return (BOOK / language / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Failed(f"{language}/{name} is not there") from None


def blocks_of(text):
    return [match.groups() for match in BLOCK.finditer(text)]


def rows_of(text):
    return [int(row) for rows in ROW.findall(text) for row in rows.split(", ")]


class Checking:
    def __init__(self, blocks):
        self._blocks = blocks
        self.faults = []

    def wanted(self, index):
        return self._blocks[index][2]

    def __call__(self, index, text):
        wanted = self.wanted(index)
        if text != wanted:
            self.faults += difflib.unified_diff(wanted.splitlines(), text.splitlines(), "the book", "the truth",
                                                lineterm="")


class Refreshing:
    def __init__(self, blocks):
        self.blocks = list(blocks)

    def wanted(self, _index):
        return None

    def __call__(self, index, text):
        self.blocks[index] = (*self.blocks[index][:2], text)


def with_blocks(text, blocks):
    left = iter(blocks)

    def block(_match):
        language, what, body = next(left)
        return f"```{language}{' ' + what if what else ''}\n{body}```"
    return BLOCK.sub(block, text)


def check_page(name, build):
    texts = [page(language, name) for language in LANGUAGES]
    blocks = blocks_of(texts[0])
    for language, text in zip(LANGUAGES[1:], texts[1:]):
        if rows_of(text) != rows_of(texts[0]):
            yield f"{language}/{name} has rows {rows_of(text)}, {LANGUAGES[0]} has {rows_of(texts[0])}"
        theirs = blocks_of(text)
        if theirs != blocks:
            at = next((i for i, pair in enumerate(zip(blocks, theirs)) if pair[0] != pair[1]),
                      min(len(blocks), len(theirs)))
            yield f"{language}/{name}: block {at + 1} is not that of {LANGUAGES[0]}; 'refresh' helps"
    checking = Checking(blocks)
    run_page(blocks, build, checking)
    yield from checking.faults


def check_book(pages):
    for language in LANGUAGES[1:]:
        for name in sorted(set(pages_of(language)) - set(pages)):
            yield f"{language}/{name} is not there in {LANGUAGES[0]}"
    shown = [what for name in pages for kind, what, _ in blocks_of(page(LANGUAGES[0], name)) if kind == "c"]
    for path in sorted((ROOT / "examples").glob("*.c")):
        count = shown.count(f"examples/{path.name}")
        if count != 1:
            yield f"examples/{path.name} is shown {count} times"
    for language in LANGUAGES:
        index = page(language, "README.md")
        for name in pages:
            rows = rows_of(page(language, name))
            listed = [int(row) for row in re.findall(rf"^\| (\d+) \|.*\({re.escape(name)}#", index, re.M)]
            if rows != listed:
                yield f"{language}/README.md lists {listed} of {name}, which has {rows}"


def check(pages, build):
    failed = False
    checks = [("the languages, the index and the programs", lambda: check_book(pages))]
    checks += [(name, lambda name=name: check_page(name, build)) for name in pages]
    print(f"TAP version 13\n1..{len(checks)}")
    for number, (title, function) in enumerate(checks, 1):
        try:
            faults = list(function())
        except Failed as failure:
            faults = str(failure).splitlines()
        print(f"{'not ok' if faults else 'ok'} {number} - {title}")
        for fault in faults:
            print(f"# {fault}")
        failed = failed or bool(faults)
    return failed


def refresh(pages, build):
    for name in pages:
        texts = {language: page(language, name) for language in LANGUAGES}
        refreshing = Refreshing(blocks_of(texts[LANGUAGES[0]]))
        run_page(refreshing.blocks, build, refreshing)
        for language, text in texts.items():
            if len(blocks_of(text)) != len(refreshing.blocks):
                raise Failed(f"{language}/{name} has {len(blocks_of(text))} blocks, not {len(refreshing.blocks)}")
            (BOOK / language / name).write_text(with_blocks(text, refreshing.blocks), encoding="utf-8")
    return False


def cannot():
    """Why the book's commands cannot be run here, or None."""
    if sys.byteorder != "little":
        return "the book was printed on a little-endian host"
    if missing := [tool for tool in ("nc", "ip", "ping", "curl", UNSHARE[0]) if not shutil.which(tool)]:
        return f"{' and '.join(missing)} not installed"
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return "this host allows no namespaces"
    return None


def main(words):
    actions = {"check": check, "refresh": refresh}
    if len(words) != 2 or words[0] not in actions:
        sys.exit(__doc__)
    if os.environ.get("COOKBOOK_HOST") != "made":
        if reason := cannot():
            print(f"1..0 # SKIP {reason}")
            return 0
        os.execvpe(UNSHARE[0], [*UNSHARE, sys.executable, __file__, *words],
                   {**os.environ, "COOKBOOK_HOST": "made"})
    pages = pages_of(LANGUAGES[0])
    with tempfile.TemporaryDirectory() as scratch:
        try:
            become_host(pathlib.Path(scratch))
        except OSError as error:
            print(f"1..0 # SKIP no host can be made here: {error}")
            return 0
        try:
            return actions[words[0]](pages, pathlib.Path(words[1]).resolve())
        except Failed as failure:
            sys.exit(str(failure))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
