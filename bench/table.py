"""What a row of the benchmarks is. The rows are in rows/, a file for each subject, each a list ROWS."""

import dataclasses
import pathlib
import socket
import typing

import measure


@dataclasses.dataclass
class Rival:
    """One that does the work. In `words`: {port} where it is to listen, {to} the port it is to send on to,
    {folder} a temporary folder, {build} and {sockeye} ours; whatever else Work says. `files` are written
    into the folder first, by the same rule. `package` names what it is made of, for the list of versions;
    `to`, the words of what it alone sends to."""
    name: str
    words: list
    package: str = ""
    files: dict = dataclasses.field(default_factory=dict)
    to: typing.Sequence[str] = ()
    ours: bool = False
    bare: bool = False  # only the system calls: a limit


def sockeye(name, *words):
    return Rival(name, ["{sockeye}", *words], ours=True)


def bare(name, program, *words):
    return Rival(name, [f"{{build}}/bench/{program}", *words], bare=True)


def peer(name, program, *words, package=""):
    """A program of this folder's on somebody else's library."""
    return Rival(name, [f"{{build}}/bench/{program}", *words], package=package)


@dataclasses.dataclass
class Goal:
    """At most `factor` times the best of `over`; or, without `over`, `factor` itself."""
    factor: float
    over: typing.Sequence[str] = ()

    def limit(self, medians):
        known = [medians[name] for name in self.over if name in medians]
        return self.factor * min(known) if known else None if self.over else self.factor

    def text(self):
        return f"{self.factor:g} x {' or '.join(self.over)}" if self.over else f"{self.factor:g}"


@dataclasses.dataclass
class Row:
    """A benchmark: the rivals do the same work, and less is better."""
    name: str
    title: str
    unit: str  # of the figure: "CPU s per million requests"
    work: typing.Any
    rivals: list
    goal: Goal
    also: dict = dataclasses.field(default_factory=dict)  # goals for what else is seen: {"dropped": Goal(...)}


class Context:
    """Where things are."""

    def __init__(self, build, folder, seconds):
        self.build, self.folder, self.seconds = pathlib.Path(build), folder, seconds
        self.sockeye = str(self.build / "cmd" / "sockeye")
        self.load = str(self.build / "bench" / "load")

    def words(self, rival, **places):
        """The rival's words, and its files written."""
        places = {"build": self.build, "sockeye": self.sockeye, "folder": self.folder, **places}
        for name, text in rival.files.items():
            for place, value in places.items():
                text = text.replace(f"{{{place}}}", str(value))
            pathlib.Path(self.folder, name).write_text(text, encoding="utf-8")
        return [word.format(**places) for word in rival.words]

    def program(self, rival):
        return rival.words[0].format(build=self.build, sockeye=self.sockeye, folder=self.folder)


# ---- kinds of work: measure(context, rival) returns the figure and what else was seen ----

@dataclasses.dataclass
class Serve:
    """A server under load: its CPU seconds for `per` units."""
    load: list  # load.c's words, {seconds} among them
    per: float
    kind: int = socket.SOCK_STREAM
    behind: typing.Optional[Rival] = None  # what a relay sends on to, where that is not the load itself

    def lasts(self, seconds):
        return seconds + 1

    def measure(self, context, rival):
        words = [word.format(seconds=context.seconds) if isinstance(word, str) else word for word in self.load]
        with measure.Load(context.load, *words) as load:
            port = measure.free_port(self.kind)
            with measure.Server(context.words(rival, port=port, to=load.sink), port, self.kind) as server:
                load.connect(port)
                before = server.cpu_seconds()
                result = load.run()
                used = server.cpu_seconds() - before
        if not result["units"]:
            raise measure.Failed("nothing came back")
        return used / result["units"] * self.per, {
            "per_s": result["units"] / result["wall_s"], "p50_us": result["p50_us"], "p99_us": result["p99_us"],
            "lost": result["lost"], "busy": used / result["wall_s"], "load_busy": result["cpu_s"] / result["wall_s"]}


@dataclasses.dataclass
class Idle:
    """Many connections that have said one thing and wait: resident bytes for each. Some come first and are not
    counted, so that what is made once only is there: buffers that all share, an allocator's first blocks."""
    FIRST = 600
    connections: int
    size: int = 64
    behind: typing.Optional[Rival] = None

    def lasts(self, _seconds):
        return 6

    def measure(self, context, rival):
        port, to = measure.free_port(), measure.free_port()
        others = measure.contextlib.ExitStack()
        with others:
            if self.behind:
                others.enter_context(measure.Server(context.words(self.behind, port=to), to, cpu=measure.cpus()[1]))
            server = others.enter_context(measure.Server(context.words(rival, port=port, to=to), port))
            with measure.Load(context.load, "echo", self.FIRST, self.size, 0) as first:
                first.connect(port)
                before = server.resident_bytes()
                with measure.Load(context.load, "echo", self.connections, self.size, 0) as load:
                    load.connect(port)
                    used = server.resident_bytes() - before
        return used / self.connections, {}


@dataclasses.dataclass
class Run:
    """A command that runs to its end: its CPU seconds for `per` of its `units`. prepare(folder) makes what it
    needs, once; fresh(folder) what each run needs anew."""
    units: float
    per: float
    prepare: typing.Optional[typing.Callable] = None
    fresh: typing.Optional[typing.Callable] = None

    def lasts(self, _seconds):
        return 2

    def measure(self, context, rival):
        if self.prepare:
            self.prepare(context.folder)
        if self.fresh:
            self.fresh(context.folder)
        return measure.run_command(context.words(rival), context.folder) / self.units * self.per, {}


@dataclasses.dataclass
class Feed(Run):
    """The same for a command that sends to {port}, where `to`, a server's words, takes it, the rival's own before
    the row's, or else a socket that throws it away in the kernel."""
    to: typing.Sequence[str] = ()

    def measure(self, context, rival):
        port = measure.free_port()
        to = rival.to or self.to
        for make in (self.prepare, self.fresh):
            if make:
                make(context.folder)
        words = context.words(rival, port=port)
        taker = (measure.Server(context.words(Rival("", to), port=port), port, cpu=measure.cpus()[1]) if to
                 else measure.Sink(port))
        with taker:
            return measure.run_command(words, context.folder) / self.units * self.per, {}
