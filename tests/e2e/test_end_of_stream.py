"""The table of docs/end-of-stream.md, for every pair of kinds on the two sides of a relay, on every
engine: what an end, a reset, and a side that takes no more do to the other side, to the exit status, and
to the counts of bytes."""

import contextlib
import pathlib
import re

import pytest

from peers import payload
from sides import SIDES

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs" / "end-of-stream.md"
KINDS = tuple(SIDES)
PAIRS = [(a, b) for a in KINDS for b in KINDS if (a, b) != ("stdio", "stdio")]  # there is one of it

QUESTION = payload(150_000, 1)  # more than a pipe holds
ANSWER = payload(600_000, 2)    # more than sockets hold


def pairs(fits=lambda actor, other: True, **wanted):
    """Parametrises a test with a pair of kinds, and which of the two acts: the acting kind has these
    properties, and the two kinds fit."""
    rows = [pytest.param(pair, actor, id=f"{pair[0]}-{pair[1]}-{('from', 'to')[actor]}")
            for pair in PAIRS for actor in (0, 1)
            if all(getattr(SIDES[pair[actor]], name) == value for name, value in wanted.items())
            and fits(pair[actor], pair[1 - actor])]
    return pytest.mark.parametrize("pair, actor", rows)


class Join:
    """A relay between two sides: `actor` is the one that acts, `other` the one that it is done to."""

    def __init__(self, pair, actor, tmp_path, dials):
        self.actor_index = actor
        self.dials = dials  # FROM is dialled, too
        # A file gives where it acts, and takes where the other does.
        self.sides = [SIDES[kind](tmp_path, f"side{index}", index != actor)
                      for index, kind in enumerate(pair)]
        self.actor, self.other = self.sides[actor], self.sides[1 - actor]
        self.names = ("from", "to") if actor == 0 else ("to", "from")

    def start(self, start_sockeye, engine, *options):
        firsts = [not self.dials, False]
        texts = [side.text(first) for side, first in zip(self.sides, firsts)]
        if self.dials:
            texts[0] += ",dial"
        more = {key: value for side in self.sides for key, value in side.options().items()}
        self.relay = start_sockeye("relay", "--once", "--engine", engine, *options, *texts, **more)
        for side in self.sides:
            side.started()
        for side, first in zip(self.sides, firsts):
            side.open(self.relay, first)

    def ends(self, status, reason, given, taken):
        """The relay ends so: bytes delivered from the actor to the other, and back."""
        for side in self.sides:
            side.release()
        assert self.relay.wait() == status, self.relay
        closed = self.relay.wait_event("closed")
        counts = [given, taken] if self.actor_index == 0 else [taken, given]
        assert (closed["reason"], closed["bytes"]) == (reason, counts), self.relay
        lines = [line for line in self.relay.stderr.splitlines()
                 if "listening on" not in line and "likely cause: " not in line]
        assert len(lines) == (status != 0), lines

    def close(self):
        for side in self.sides:
            with contextlib.suppress(OSError):
                side.close()


@pytest.fixture
def join(start_sockeye, engine, tmp_path):
    """join(pair, actor, *options) starts a relay, and gives it with its two sides."""
    joins = []

    def start(pair, actor, *options, put=QUESTION, dials=False):
        joins.append(Join(pair, actor, tmp_path, dials))
        if pair[actor] == "file":
            joins[-1].actor.put(put)
        joins[-1].start(start_sockeye, engine, *options)
        return joins[-1]
    yield start
    for each in joins:
        each.close()


# ---- an end ----

@pairs()
def test_an_end_is_passed_on_and_the_late_answer_is_whole(join, pair, actor):
    j = join(pair, actor)
    if pair[actor] != "file":
        sender = j.actor.send_all(QUESTION)
    if pair[1 - actor] != "file":
        assert j.other.receive_all() == QUESTION  # to its end
    j.relay.wait_event("eof", side=j.names[0])
    if pair[actor] != "file":
        sender.join()
    if pair[1 - actor] == "file":  # which has no answer, and gets all
        answer = b""
        if j.actor.can_take:
            assert j.actor.receive_all() == answer
    elif pair[actor] == "file":  # which takes none
        j.other.finish()
        answer = b""
    else:
        answer = ANSWER
        sender = j.other.send_all(answer)
        assert j.actor.receive_all() == answer
        sender.join()
    j.ends(0, "end", len(QUESTION), len(answer))
    assert {event["side"] for event in j.relay.events if event["event"] == "eof"} == {"from", "to"}
    if pair[1 - actor] == "file":
        assert j.other.receive_all() == QUESTION


@pairs(lambda actor, other: actor == "file" != other)
def test_an_answer_to_a_file_that_is_read_is_lost(join, pair, actor):
    j = join(pair, actor, put=b"short")
    assert j.other.receive_all() == b"short"
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        j.other.send(b"lost")
        j.other.finish()
    j.ends(7, "truncated", 5, 0)
    assert "likely cause: the file is read; append or create writes to it" in j.relay.stderr


# ---- a reset ----

# A Unix socket resets where bytes are unread, and a file gives none to it.
@pairs(lambda actor, other: (actor, other) != ("unix", "file"), resets=True)
def test_a_reset_is_exit_7_with_both_counts(join, pair, actor):
    j = join(pair, actor)
    j.actor.send(b"abc")
    if pair[1 - actor] == "file":
        taken = 0
        j.relay.wait_event("eof", side=j.names[1])
    else:
        assert j.other.receive(3) == b"abc"
        taken = 5
        j.other.send(b"defgh")
        if pair[actor] == "tcp":
            assert j.actor.receive(5) == b"defgh"
        else:
            j.actor.await_arrived()
    j.actor.reset()
    if j.other.sees_resets:
        with pytest.raises(ConnectionResetError):
            j.other.receive_all()
    elif pair[1 - actor] != "file":
        assert j.other.receive_all() == b""
    if pair[1 - actor] in ("exec", "pipes"):
        assert j.relay.wait_event("exit")["signal"] == 1  # it is hung up on
    j.ends(7, "reset", 3, taken)
    assert "connection reset by peer" in j.relay.stderr


@pairs(lambda actor, other: actor == "file" and other not in ("exec", "pipes"))
def test_a_file_that_cannot_be_read_is_no_end(join, pair, actor):
    """The other side is told by a reset, where its kind has one, and never by an orderly end alone."""
    j = join(pair, actor, put=None, dials=pair[0] == "tcp")  # or the reset could come to who still connects
    if j.other.sees_resets:
        with pytest.raises(ConnectionResetError):
            j.other.receive_all()
    elif pair[1 - actor] != "file":
        assert j.other.receive_all() == b""
    j.ends(1, "error", 0, 0)
    assert f"{j.actor.path}: input/output error" in j.relay.stderr
    if pair[1 - actor] == "file":
        assert j.other.receive_all() == b""


@pytest.mark.parametrize("first", ["the file", "the command"])
@pytest.mark.parametrize("kind", ["exec", "exec,pipes"])
def test_a_file_that_cannot_be_read_hangs_up_on_a_command(start_sockeye, engine, kind, first):
    """Which may not have come to say a word by then."""
    ends = ["file:/proc/self/mem", f"{kind}:exec sleep 60"]
    relay = start_sockeye("relay", "--engine", engine, *(ends if first == "the file" else reversed(ends)))
    assert relay.wait() == 1 and "/proc/self/mem: input/output error" in relay.stderr
    assert relay.wait_event("exit")["signal"] == 1
    closed = relay.wait_event("closed")
    assert (closed["reason"], closed["bytes"]) == ("error", [0, 0])


# ---- a side that takes no more ----

@pairs(stops=True)
@pytest.mark.parametrize("lost", [b"lost", b""], ids=["lost", "none-lost"])
def test_a_side_that_takes_no_more_still_gives(join, pair, actor, lost):
    """The other way goes on to its end. Only where there were bytes for it have any been lost."""
    j = join(pair, actor)
    j.actor.stop_taking()
    if pair[1 - actor] != "file":
        j.other.send(lost)
        if not lost:
            j.other.finish()
            j.relay.wait_event("eof", side=j.names[1])
    sender = j.actor.send_all(ANSWER)
    if pair[1 - actor] != "file":
        assert j.other.receive_all() == ANSWER
    sender.join()
    some_lost = lost and pair[1 - actor] != "file"
    if some_lost:
        with contextlib.suppress(OSError):  # it may have been closed by now
            j.other.finish()
    j.ends(7 if some_lost else 0, "truncated" if some_lost else "end", len(ANSWER), 0)
    if pair[1 - actor] == "file":
        assert j.other.receive_all() == ANSWER


# ---- what the end of standard input does ----

@pairs(lambda actor, other: actor == "stdio")
def test_eof_close_ends_both_ways(join, pair, actor):
    j = join(pair, actor, "--eof", "close")
    if pair[1 - actor] != "file":
        j.other.send(b"before")
        assert j.actor.receive(6) == b"before"
    sender = j.actor.send_all(QUESTION)
    if pair[1 - actor] != "file":
        assert j.other.receive_all() == QUESTION
    sender.join()
    j.ends(0, "end", len(QUESTION), 0 if pair[1 - actor] == "file" else 6)  # though the other is still open
    if pair[1 - actor] == "file":
        assert j.other.receive_all() == QUESTION


@pairs(lambda actor, other: actor == "stdio")
def test_eof_wait_ends_when_the_answer_pauses(join, pair, actor):
    j = join(pair, actor, "--eof", "wait=150ms")
    sender = j.actor.send_all(QUESTION)
    count = 0
    if pair[1 - actor] != "file":
        assert j.other.receive_all() == QUESTION
        for _ in range(3):
            j.other.send(b"late")
            assert j.actor.receive(4) == b"late"
            count += 4
    sender.join()
    j.ends(0, "end", len(QUESTION), count)  # though the other is still open
    if pair[1 - actor] == "file":
        assert j.other.receive_all() == QUESTION


@pairs(lambda actor, other: actor == "stdio" and other != "file")
def test_eof_half_is_what_is_done_unless_said(join, pair, actor):
    for options in ((), ("--eof", "half")):
        j = join(pair, actor, *options)
        j.actor.finish()
        assert j.other.receive_all() == b""
        assert j.relay.running()
        sender = j.other.send_all(b"late")
        assert j.actor.receive_all() == b"late"
        sender.join()
        j.ends(0, "end", 0, 4)
        j.close()


# ---- the page ----

def test_the_table_has_every_pair():
    kinds = ["tcp", "unix", "exec", "stdio", "file"]
    table = re.findall(r"^\|(.+)\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [[cell.strip() for cell in row.split("|")] for row in table]
    head = next(row for row in rows if row[2:] == [f"*{kind}*" for kind in kinds])
    at = rows.index(head) + 2
    body = rows[at:at + 3 * len(kinds)]
    assert [row[1] for row in body] == [f"*{kind}*" for kind in kinds] * 3
    assert all(len(row) == 2 + len(kinds) and all(row[2:]) for row in body)
