"""Digests and encryption of a file that is in memory already."""

import pathlib

from table import Goal, Rival, Row, Run, bare, sockeye

BYTES = 1 << 30


def prepare(folder):
    data, key = pathlib.Path(folder, "data"), pathlib.Path(folder, "key")
    if not data.exists():
        with data.open("wb") as file:
            for number in range(BYTES >> 20):
                file.write(bytes([number % 256]) * (1 << 20))
        key.write_bytes(bytes(range(32)))
        key.chmod(0o600)


def fresh(folder):
    pathlib.Path(folder, "out").unlink(missing_ok=True)


WORK = Run(BYTES, 1e9, prepare, fresh)
KEY = "0102030405060708090a0b0c0d0e0f10" * 2

ROWS = [
    Row("hash", "SHA-256 of a cached file of 1 GiB", "CPU s per GB", WORK,
        [sockeye("sockeye", "hash", "data"), bare("bare EVP", "bare_evp", "hash", "data"),
         Rival("sha256sum", ["sha256sum", "data"], "coreutils"),
         Rival("openssl dgst", ["openssl", "dgst", "-sha256", "data"], "openssl")],
        Goal(1.05, ("bare EVP",))),
    Row("encrypt", "AES-256-GCM of a cached file of 1 GiB into another", "CPU s per GB", WORK,
        [sockeye("sockeye", "encrypt", "--no-sync", "--key-file", "key", "data", "out"),
         bare("bare EVP", "bare_evp", "encrypt", "data", "out"),
         Rival("openssl enc (CTR, no tag)", ["openssl", "enc", "-aes-256-ctr", "-K", KEY, "-iv", KEY[:32],
                                             "-in", "data", "-out", "out"], "openssl")],
        Goal(1.05, ("bare EVP",))),
]
