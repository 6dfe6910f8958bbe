"""Thousands of connections, well-behaved and rude, for a minute: afterwards a server holds the
descriptors and the memory that it held after its first few hundred, and has told of every peer.
SOAK_SECONDS makes it longer.
"""

import concurrent.futures
import os
import random
import socket
import struct
import time

import pytest

from peers import connect, receive_all

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
WARM_UP = 400
THREADS = 4
GROWTH_BYTES_MAX = 2 << 20
POOL_ENDS_MAX = 2 * 16  # a relay keeps so many idle pipes to use them again


def polite(sock, rng):
    """Sends, ends its sending, and gets everything back."""
    data = rng.randbytes(rng.choice((1, 100, 20_000, 200_000)))
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        answer = reader.submit(receive_all, sock)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert answer.result() == data


def silent(_sock, _rng):
    """Leaves without a word."""


def rude(sock, rng):
    """Sends and is gone with a reset before the answer."""
    sock.sendall(rng.randbytes(50_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def visit(address, rng, go_on):
    """One visitor after another while go_on(count) says so; returns their number."""
    count = 0
    while go_on(count):
        with connect(address) as sock:
            rng.choice((polite, polite, polite, silent, rude))(sock, rng)
        count += 1
    return count


def visit_all(address, go_on):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        visitors = [pool.submit(visit, address, random.Random(seed), go_on) for seed in range(THREADS)]
        return sum(visitor.result() for visitor in visitors)


def sorted_out(descriptors):
    """The ends of pipes counted, all else as it is."""
    others = {number: target for number, target in descriptors.items() if not target.startswith("pipe:")}
    return len(descriptors) - len(others), others


def soak(address, front, *behind):
    """Visits front for a while; neither its descriptors and memory nor those of the processes behind it
    may grow. Those see fewer visitors: one that is gone at once need not be passed on."""
    watched = (front, *behind)
    pipe_ends = [sorted_out(one.descriptors())[0] for one in watched]

    def settle(visits):
        front.wait_events(visits, "closed", timeout=60)
        for one in behind:
            one.wait_events(len(one.wait_events(0, "connected")), "closed", timeout=60)
        return [(*sorted_out(one.descriptors()), one.resident_bytes()) for one in watched]

    visits = visit_all(address, lambda count: count < WARM_UP // THREADS)
    before = settle(visits)
    end = time.monotonic() + SECONDS
    visits += visit_all(address, lambda _count: time.monotonic() < end)
    after = settle(visits)
    assert visits > 2 * WARM_UP, f"only {visits} visits"
    for one, fresh, (_, open_before, size_before), (ends, open_after, size_after) in zip(
            watched, pipe_ends, before, after):
        assert open_after == open_before, one
        assert ends <= fresh + POOL_ENDS_MAX, f"{ends} ends of pipes: {one}"
        assert size_after - size_before < GROWTH_BYTES_MAX, f"{size_before} to {size_after} bytes: {one}"
    assert len(front.wait_events(visits, "closed")) == visits, front


@pytest.mark.not_sanitized
def test_echo(start_sockeye):
    echo = start_sockeye("echo", "--quiet", "tcp:127.0.0.1:0")
    soak(echo.listening(), echo)


@pytest.mark.not_sanitized
def test_relay(start_sockeye, tmp_path):
    echo = start_sockeye("echo", "--quiet", f"unix:{tmp_path}/echo")
    echo.listening()
    relay = start_sockeye("relay", "--quiet", "tcp:127.0.0.1:0", f"unix:{tmp_path}/echo")
    soak(relay.listening(), relay, echo)
