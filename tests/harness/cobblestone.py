"""c2sp.org/chunked-encryption once more, from its specification alone (docs/chunked-encryption.md): what sockeye
writes has to be readable by others, and the other way round."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TEXT = 16384
CHUNK = TEXT + 16


def expand(key, info, size):
    """HKDF-Expand, RFC 5869, 2.3."""
    out, block = b"", b""
    for number in range(1, size // 64 + 2):
        block = hmac.new(key, block + info + bytes([number]), hashlib.sha512).digest()
        out += block
    return out[:size]


def derive(key, salt, context):
    label = b"c2sp.org/chunked-encryption@v1+AEAD_AES_%d_GCM" % (len(key) * 8)
    derived = expand(key, label + b"\0" + salt + context, len(key) + 44)
    return derived[:len(key)], int.from_bytes(derived[len(key):-32], "big"), derived[-32:]


def encrypt(key, text, context=b"", salt=None):
    salt = salt or os.urandom(24)
    key, nonce, commitment = derive(key, salt, context)
    chunks = [text[at:at + TEXT] for at in range(0, len(text), TEXT)]
    if len(text) % TEXT == 0:
        chunks.append(b"")
    return salt + commitment + b"".join(
        AESGCM(key).encrypt((nonce ^ number).to_bytes(12, "big"), chunk, b"")
        for number, chunk in enumerate(chunks))


def decrypt(key, data, context=b""):
    key, nonce, commitment = derive(key, data[:24], context)
    assert data[24:56] == commitment
    text, at, number = b"", 56, 0
    while True:
        chunk = data[at:at + CHUNK]
        text += AESGCM(key).decrypt((nonce ^ number).to_bytes(12, "big"), chunk, b"")
        if len(chunk) < CHUNK:
            return text
        at, number = at + CHUNK, number + 1
