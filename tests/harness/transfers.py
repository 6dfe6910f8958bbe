"""The transfer protocol spoken by hand, for peers that misbehave: docs/transfer-protocol.md."""

import struct

MAGIC = b"sockeye\n"
(FILE, FROM, DATA, HOLE, END, GIVE_UP, FOLDER, FOLDER_END, MISSING, BYE) = range(1, 11)
GO, TAKEN, REFUSED, DONE = range(16, 20)
BLOCK = 1 << 20
MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                      0x27D4EB2F165667C5)


def hello(role="s", version=1, digests=True, total=0):
    return MAGIC + struct.pack(">BcB5xQ", version, role.encode(), digests, total)


def frame(kind, payload=b""):
    return struct.pack(">B3xI", kind, len(payload)) + payload


def entry(kind, name, size=0, mode=0o644, mtime=1_000_000_000, nanoseconds=0):
    name = name if isinstance(name, bytes) else name.encode()
    return frame(kind, struct.pack(">QqII", size, mtime, nanoseconds, mode) + name)


def number(kind, value):
    return frame(kind, struct.pack(">Q", value))


def small(name, data, **more):
    """A whole small file."""
    body = frame(DATA, data) if data else b""
    return entry(FILE, name, len(data), **more) + body + number(END, digest(data))


def frames(data):
    """(offset, type, payload) of each frame, from the end of the hello on."""
    at = 24
    while at < len(data):
        kind, size = data[at], struct.unpack_from(">I", data, at + 4)[0]
        yield at, kind, data[at + 8:at + 8 + size]
        at += 8 + size


def _rotate(x, bits):
    return (x << bits | x >> (64 - bits)) & MASK


def _mix(lane, word):
    return _rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data):
    """XXH64 with seed 0, from its specification; slow."""
    at, value = 0, P5
    if len(data) >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while len(data) - at >= 32:
            lanes = [_mix(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        value = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            value = ((value ^ _mix(0, lane)) * P1 + P4) & MASK
    value = (value + len(data)) & MASK
    while len(data) - at >= 8:
        value = (_rotate(value ^ _mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if len(data) - at >= 4:
        word = struct.unpack_from("<I", data, at)[0]
        value = (_rotate(value ^ word * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        value = _rotate(value ^ byte * P5 & MASK, 11) * P1 & MASK
    for shift, prime in ((33, P2), (29, P3), (32, 1)):
        value = (value ^ value >> shift) * prime & MASK
    return value


def digest(data):
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    return xxh64(b"".join(struct.pack(">Q", xxh64(block)) for block in blocks))
