"""The transfer protocol spoken by hand, for peers that misbehave: docs/transfer-protocol.md."""

import struct

MAGIC = b"sockeye\n"
(FILE, FROM, DATA, HOLE, END, GIVE_UP, FOLDER, FOLDER_END, MISSING, BYE) = range(1, 11)
GO, TAKEN, REFUSED, DONE = range(16, 20)
BLOCK = 1 << 20
MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                      0x27D4EB2F165667C5)
Q1, Q2, Q3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


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


def _mix(lanes, stripe, at):
    words = struct.unpack("<8Q", stripe)
    for i, (word, key) in enumerate(zip(words, struct.unpack_from("<8Q", SECRET, at))):
        keyed = word ^ key
        lanes[i ^ 1] = lanes[i ^ 1] + word & MASK
        lanes[i] = lanes[i] + (keyed & 0xffffffff) * (keyed >> 32) & MASK


def xxh3(data):
    """XXH3, 64 bits, seed 0, its form for more than 240 bytes, from its specification; slow."""
    lanes = [Q3, P1, P2, P3, P4, Q2, P5, Q1]
    for number in range((len(data) - 1) // 64):
        _mix(lanes, data[64 * number:64 * number + 64], 8 * (number % 16))
        if number % 16 == 15:
            keys = struct.unpack_from("<8Q", SECRET, 128)
            lanes = [(lane ^ lane >> 47 ^ key) * Q1 & MASK for lane, key in zip(lanes, keys)]
    _mix(lanes, data[-64:], 121)
    keyed = [lane ^ key for lane, key in zip(lanes, struct.unpack_from("<8Q", SECRET, 11))]
    value = len(data) * P1
    for product in (keyed[i] * keyed[i + 1] for i in range(0, 8, 2)):
        value += product & MASK ^ product >> 64
    value = (value & MASK ^ (value & MASK) >> 37) * 0x165667919E3779F9 & MASK
    return value ^ value >> 32


def filled(data):
    return data.ljust(256, b"\0")


def digest(data):
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    return xxh3(filled(b"".join(struct.pack(">Q", xxh3(filled(block))) for block in blocks)))
