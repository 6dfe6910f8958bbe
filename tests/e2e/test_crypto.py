"""hash, cipher, encrypt, decrypt, keygen: beside openssl, sha256sum and another implementation of the format; what
must not verify does not, and leaves nothing."""

import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

cobblestone = pytest.importorskip("cobblestone", reason="python3-cryptography is not installed")

SIZES = (0, 1, 16, 16384, 65535, 65536, 200_000)
IV = {"cbc": "00112233445566778899aabbccddeeff", "ctr": "00112233445566778899aabbccddeeff",
      "gcm": "00112233445566778899aabb", "poly1305": "00112233445566778899aabb"}
ALGS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512",
        "blake2b", "crc32c")
AEADS = ("aes-128-gcm", "aes-192-gcm", "aes-256-gcm", "chacha20-poly1305")


def iv_of(alg):
    return IV[alg.rpartition("-")[2]]


def bytes_of(alg):
    return 32 if alg.startswith("chacha") else int(alg.split("-")[1]) // 8


@pytest.fixture
def files(tmp_path):
    (tmp_path / "key").write_bytes(bytes(range(32)))
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "data").write_bytes(os.urandom(200_000))
    return tmp_path


@pytest.fixture
def run(run_sockeye, files):
    def run_command(*args, **options):
        return run_sockeye(*args, cwd=files, **options)
    return run_command


def openssl(*words, stdin=b""):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True, timeout=20).stdout


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- hash ----

def test_the_sheets_digest(run):
    result = run("hash", stdin="Python is awesome!")
    assert (result.status, result.out) == (
        0, b"9d50bcac2d5e33f936ec2db7dc7b6579cba8e1b099d77c31d8564df46f66bdf5  -\n")


def test_digests_are_those_of_others(run, files):
    result = run("hash", "-a", ",".join(ALGS), "data")
    data = (files / "data").read_bytes()
    lines = dict(line.split(" (data) = ") for line in result.out.decode().splitlines())
    assert (result.status, list(lines)) == (0, [alg.upper() for alg in ALGS])
    for alg in ALGS[:-1]:
        assert lines[alg.upper()] == hashlib.new(alg.replace("sha3-", "sha3_"), data).hexdigest()
    assert run("hash", "-a", "crc32c", stdin="123456789").out == b"e3069283  -\n"


def test_hmac_is_that_of_openssl(run, files):
    key = (files / "key").read_bytes().hex()
    line = openssl("dgst", "-sha256", "-mac", "hmac", "-macopt", f"hexkey:{key}", files / "data")
    assert run("hash", "--key-file", "key", "data").out.split()[0] == line.split()[-1]


@pytest.mark.parametrize("name", ["data", "a b", "back\\slash", "new\nline", "\n"])
def test_lists_go_both_ways_with_sha256sum(run, files, name):
    shutil.copyfile(files / "data", files / name) if name != "data" else None
    ours = run("hash", name).out
    theirs = subprocess.run(["sha256sum", name], cwd=files, check=True, capture_output=True).stdout
    assert ours == theirs
    (files / "list").write_bytes(ours)
    assert subprocess.run(["sha256sum", "-c", "list"], cwd=files, capture_output=True).returncode == 0
    assert run("hash", "--check", "list").status == 0
    (files / name).write_bytes(b"other")
    assert run("hash", "--check", "list").status == 6


def test_check_tells_what_is_wrong(run, files):
    (files / "two").write_bytes(b"two")
    sums = run("hash", "-a", "sha256,blake2b", "data", "two").out
    (files / "list").write_bytes(sums + b"# a comment\n\nno digest\n")
    result = run("hash", "-c", "list")
    assert (result.status, result.out) == (0, b"data: OK\ndata: OK\ntwo: OK\ntwo: OK\n")
    assert "1 line holds no digest" in result.err
    (files / "two").write_bytes(b"2")
    result = run("hash", "-c", "-q", "list")
    assert (result.status, result.out) == (6, b"two: FAILED\ntwo: FAILED\n")
    assert "2 of 4 digests did not match" in result.err
    (files / "two").unlink()
    result = run("hash", "-c", "list")
    assert result.status == 1 and "two: no such file" in result.err
    assert run("hash", "-c", stdin="nothing\n").status == 1


@pytest.mark.parametrize("tool, alg", [("b2sum", "blake2b"), ("sha512sum", "sha512")])
def test_lists_that_look_alike(run, files, tool, alg):
    """b2sum and sha512sum write the same lines; -a tells them apart, and without it a wrong guess is no riddle."""
    lines = subprocess.run([tool, "data"], cwd=files, check=True, capture_output=True).stdout
    (files / "list").write_bytes(lines)
    assert run("hash", "-c", "-a", alg, "list").status == 0
    result = run("hash", "-c", "list")
    assert result.status == (0 if tool == "sha512sum" else 6)
    assert ("taken for sha512; -a blake2b" in result.err) == (tool == "b2sum")
    (files / "list").write_bytes(subprocess.run([tool, "--tag", "data"], cwd=files, check=True,
                                                capture_output=True).stdout)
    assert run("hash", "-c", "list").status == 0


def test_hash_goes_on_after_a_file_that_is_not_there(run):
    result = run("hash", "none", "data", ".")
    assert result.status == 1 and result.out.endswith(b"  data\n") and result.out.count(b"\n") == 1
    assert "none: no such file" in result.err and ".: is a directory" in result.err


def test_what_hash_refuses(run):
    assert run("hash", "-a", "sha265", "data").status == 2
    assert run("hash", "-a", "", "data").status == 2
    assert run("hash", "-a", "crc32c", "--key-file", "key", "data").status == 2


# ---- cipher ----

@pytest.mark.parametrize("alg", ["aes-128-cbc", "aes-256-cbc", "aes-256-ctr"])
@pytest.mark.parametrize("size", [0, 16, 65535, 65536])
def test_openssl_enc_agrees(run, files, alg, size):
    key = (files / "key").read_bytes()[:bytes_of(alg)]
    (files / "data").write_bytes(os.urandom(size))
    words = ("-a", alg, "--key-file", "env:KEY", "--iv", iv_of(alg))
    assert run("cipher", "encrypt", *words, "data", "out", env={"KEY": key.hex()}).status == 0
    theirs = openssl("enc", f"-{alg}", "-K", key.hex(), "-iv", iv_of(alg), stdin=(files / "data").read_bytes())
    assert (files / "out").read_bytes() == theirs
    result = run("cipher", "decrypt", *words, stdin=theirs, env={"KEY": key.hex()})
    assert (result.status, result.out) == (0, (files / "data").read_bytes())


@pytest.mark.parametrize("alg", AEADS)
def test_aeads_agree_with_another_library(run, files, alg):
    from cryptography.hazmat.primitives.ciphers import aead
    key = (files / "key").read_bytes()[:bytes_of(alg)]
    (files / "aad").write_bytes(b"to whom")
    cipher = (aead.ChaCha20Poly1305 if alg.startswith("chacha") else aead.AESGCM)(key)
    words = ("-a", alg, "--key-file", "env:KEY", "--iv", iv_of(alg), "--aad", b"to whom".hex())
    for size in SIZES:
        data = os.urandom(size)
        theirs = cipher.encrypt(bytes.fromhex(iv_of(alg)), data, b"to whom")
        result = run("cipher", "encrypt", *words, stdin=data, env={"KEY": key.hex()})
        assert (result.status, result.out) == (0, theirs)
    result = run("cipher", "decrypt", *words[:-2], "--aad-file", "aad", stdin=theirs, env={"KEY": key.hex()})
    assert (result.status, result.out) == (0, data)


@pytest.mark.parametrize("alg, damage", [
    ("aes-256-gcm", "flip"), ("aes-256-gcm", "cut"), ("aes-256-gcm", "empty"), ("aes-256-gcm", "aad"),
    ("chacha20-poly1305", "flip"), ("aes-256-cbc", "last"), ("aes-256-cbc", "cut"), ("aes-256-cbc", "empty"),
])
@pytest.mark.parametrize("to_file", [True, False])
def test_what_does_not_verify_gives_nothing(run, files, alg, damage, to_file):
    words = ("-a", alg, "--key-file", "key", "--iv", iv_of(alg))
    assert run("cipher", "encrypt", *words, "data", "secret").status == 0
    data = bytearray((files / "secret").read_bytes())
    at = {"flip": 1000, "last": -17}.get(damage)
    if at is not None:
        data[at] ^= 1
    (files / "secret").write_bytes({"cut": data[:-1], "empty": b""}.get(damage, data))
    extra = ("--aad", "00") if damage == "aad" else ()
    before = listing(files)
    result = run("cipher", "decrypt", *words, *extra, "secret", *(("out",) if to_file else ()))
    assert (result.status, result.out, listing(files)) == (6, b"", before)
    assert result.err.startswith("sockeye: cipher: secret: ")


def test_a_random_iv_is_told_and_never_the_same(run, files):
    ivs = [run("cipher", "encrypt", "--key-file", "key", "--iv", "random", "data", "out").out for _ in range(2)]
    assert len(ivs[0]) == 25 and ivs[0] != ivs[1]
    result = run("cipher", "decrypt", "--key-file", "key", "--iv", ivs[1].decode().strip(), "out")
    assert result.out == (files / "data").read_bytes()
    result = run("cipher", "encrypt", "--key-file", "key", "--iv", "random", stdin="x")
    assert len(result.out) == 17 and "cipher: iv " in result.err


def test_a_tag_apart(run, files):
    words = ("--key-file", "key", "--iv", IV["gcm"], "--tag", "tag")
    assert run("cipher", "encrypt", *words, "data", "out").status == 0
    assert (files / "out").stat().st_size == 200_000 and (files / "tag").stat().st_size == 16
    assert run("cipher", "decrypt", *words, "out", "back").status == 0
    assert (files / "back").read_bytes() == (files / "data").read_bytes()
    (files / "tag").write_bytes(bytes(16))
    assert run("cipher", "decrypt", *words, "out", "back2").status == 6
    assert not (files / "back2").exists()


@pytest.mark.parametrize("words, says", [
    (("encrypt",), "an IV is needed"),
    (("encrypt", "--iv", "00"), "takes an IV of 12 bytes: 24 hex digits"),
    (("decrypt", "--iv", "random"), "--iv random is for encrypt"),
    (("encrypt", "--iv", IV["gcm"], "--iv-file", "key"), "two ways to say the same"),
    (("encrypt", "--iv-file", "key"), "is a file of 12 bytes"),
    (("encrypt", "--iv", IV["gcm"], "--aad", "0"), "hex digits"),
    (("encrypt", "-a", "aes-256-cbc", "--iv", IV["cbc"], "--aad", "00"), "authenticates nothing"),
    (("encrypt", "-a", "aes-256-ctr", "--iv", IV["cbc"], "--tag", "t"), "has no tag"),
    (("encrypt", "-a", "aes-128-gcm", "--iv", IV["gcm"]), "takes a key of 16 bytes, not 32"),
    (("encrypt", "-a", "aes-256-gmc", "--iv", IV["gcm"]), "did you mean 'aes-256-gcm'?"),
    (("encript", "--iv", IV["gcm"]), "neither encrypt nor decrypt"),
])
def test_wrong_usage_of_cipher(run, files, words, says):
    result = run("cipher", words[0], "--key-file", "key", *words[1:], stdin="x")
    assert (result.status, result.out) == (2, b"") and says in result.err


# ---- keys ----

def test_keygen(run, files):
    assert run("keygen", "new").status == 0
    assert run("keygen", "--bits", "128", "short").status == 0
    assert [(files / name).stat().st_size for name in ("new", "short")] == [32, 16]
    assert stat.S_IMODE((files / "new").stat().st_mode) == 0o600
    old = (files / "new").read_bytes()
    result = run("keygen", "new")
    assert result.status == 1 and "file exists" in result.err and (files / "new").read_bytes() == old


def test_keys_from_elsewhere(run, files):
    result = run("encrypt", stdin="x")
    assert result.status == 2 and "a key is needed" in result.err
    (files / "key").chmod(0o644)
    result = run("encrypt", "--key-file", "key", stdin="x")
    assert result.status == 0 and "others may read key (mode 0644)" in result.err
    assert run("encrypt", "-q", "--key-file", "key", stdin="x").err == ""
    for key, status in (("00" * 32, 0), ("00" * 24, 2), ("0", 2), ("zz" * 16, 2), ("", 2)):
        assert run("encrypt", "--key-file", "env:KEY", stdin="x", env={"KEY": key}).status == status
    with open(files / "key", "rb") as key:
        assert run("encrypt", "--key-file", f"fd:{key.fileno()}", stdin="x",
                   pass_fds=[key.fileno()]).status == 0
    for name in ("none", "fd:x", "env:NONE", "fd:777"):
        assert run("encrypt", "--key-file", name, stdin="x").status in (1, 2)


# ---- encrypt, decrypt ----

@pytest.mark.parametrize("key_bytes", [16, 32])
def test_another_implementation_reads_it_and_is_read(run, files, key_bytes):
    key = bytes(range(key_bytes))
    (files / "key").write_bytes(key)
    for number, size in enumerate(SIZES):
        data = os.urandom(size)
        (files / "data").write_bytes(data)
        threads = ("--threads", "3") if number % 2 else ()
        assert run("encrypt", "--key-file", "key", *threads, "data", "secret").status == 0
        assert cobblestone.decrypt(key, (files / "secret").read_bytes()) == data
        result = run("decrypt", "--key-file", "key", *threads, stdin=cobblestone.encrypt(key, data))
        assert (result.status, result.out) == (0, data)
    piped = run("encrypt", "--key-file", "key", "--context", "für mich", stdin=data).out
    assert cobblestone.decrypt(key, piped, "für mich".encode()) == data


@pytest.mark.parametrize("mib", [1, 64])
def test_large_files_and_streams(run, files, mib):
    with open(files / "zeros", "wb") as file:
        file.truncate(mib << 20)
    digest = hashlib.sha256(bytes(mib << 20)).hexdigest()
    assert run("encrypt", "--no-sync", "--key-file", "key", "--threads", "2", "zeros", "secret").status == 0
    assert (files / "secret").stat().st_size == 56 + (mib << 20) + 16 * (mib * 64 + 1)
    assert run("decrypt", "--no-sync", "--key-file", "key", "secret", "back").status == 0
    assert run("hash", "back").out.decode().split()[0] == digest
    words = ("--key-file", "key", "--iv", IV["gcm"])
    with open(files / "zeros", "rb") as zeros:
        secret = run("cipher", "encrypt", *words, stdin=zeros).out
    assert len(secret) == (mib << 20) + 16
    assert run("cipher", "decrypt", *words, stdin=secret).out == bytes(mib << 20)


def test_decrypt_of_a_range(run, files):
    data = (files / "data").read_bytes()
    assert run("encrypt", "--key-file", "key", "data", "secret").status == 0
    for text, part in (("0-0", data[:1]), ("16383-16385", data[16383:16386]), ("150000-", data[150000:]),
                       ("100-999999999", data[100:])):
        result = run("decrypt", "--key-file", "key", "--range", text, "secret")
        assert (result.status, result.out) == (0, part)
    result = run("decrypt", "--key-file", "key", "--range", "200000-", "secret")
    assert (result.status, result.out) == (1, b"") and "the text has 200000 bytes" in result.err
    for text in ("", "5", "5-4", "-5", "a-b", "1-2-3", "99999999999999999999-"):
        assert run("decrypt", "--key-file", "key", "--range", text, "secret").status == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "more", "empty", "key", "context"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_whatever_was_changed_leaves_no_file(run, files, damage, threads):
    data = (files / "data").read_bytes()
    assert run("encrypt", "--key-file", "key", "data", "secret").status == 0
    secret = bytearray((files / "secret").read_bytes())
    secret[150_000] ^= damage == "flip"
    (files / "secret").write_bytes({"cut": secret[:56 + 2 * 16400], "more": secret + b"x",
                                      "empty": b""}.get(damage, secret))
    if damage == "key":
        (files / "key").write_bytes(os.urandom(32))
    words = ("--key-file", "key", "--threads", threads, *(("--context", "x") if damage == "context" else ()))
    before = listing(files)
    (files / "out").write_bytes(b"old")
    result = run("decrypt", *words, "secret", "out")
    assert (result.status, (files / "out").read_bytes()) == (6, b"old")
    assert listing(files) == sorted([*before, "out"])
    result = run("decrypt", *words, stdin=bytes((files / "secret").read_bytes()))
    whole = {"flip": 9, "cut": 2, "more": 12}.get(damage, 0)  # chunks, which verified
    assert (result.status, result.out) == (6, data[:whole * 16384])


def test_a_full_disk_leaves_no_half_file(run, files):
    for command in (("encrypt",), ("cipher", "encrypt", "--iv", IV["gcm"])):
        before = listing(files)
        result = run(*command, "--key-file", "key", "data", "out", preexec_fn=limit_file_size)
        assert result.status == 1 and "out: " in result.err and "file too large" in result.err
        assert listing(files) == before
        result = run(*command, "--key-file", "key", "data", "/dev/full")
        assert result.status == 1 and "no space left" in result.err


def limit_file_size():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_no_core_is_dumped_while_there_is_a_key(start, sockeye, files):
    read_end, write_end = os.pipe()
    process = start(sockeye, "encrypt", "--key-file", "key", cwd=files, stdin=read_end)
    os.close(read_end)
    os.write(write_end, bytes(300_000))
    process.wait_stdout(b"(?s).{100000}")
    dumpable = os.stat(f"/proc/{process.pid}/mem").st_uid == os.getuid() != 0
    assert not dumpable  # proc(5): an undumpable process's files are root's
    os.kill(process.pid, 6)
    assert process.wait() == 128 + 6
    os.close(write_end)
    assert not [name for name in listing(files) if "core" in name]


@pytest.mark.parametrize("command", [("hash",), ("hash", "-a", "md5,sha1"), ("encrypt", "--key-file", "key")])
def test_a_terminal_sees_how_far_it_is(sockeye, files, command):
    main, sub = os.openpty()
    process = subprocess.Popen([sockeye, *command], cwd=files, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=sub)
    os.close(sub)
    os.set_blocking(main, False)
    said = b""
    while b"/s" not in said:
        process.stdin.write(bytes(1 << 20))
        try:
            said += os.read(main, 4096)
        except BlockingIOError:
            pass
    process.stdin.close()
    assert process.wait() == 0
    os.close(main)
    assert said.startswith(b"\r\x1b[K") and b"B, " in said


# ---- providers ----

def test_the_kernel_or_the_reason(run, files):
    """Whatever this host's kernel has: the same bytes, or exit status 8 and why."""
    ours = run("hash", "data").out
    result = run("hash", "--provider", "kernel", "data")
    if result.status == 8:
        assert "by the kernel" in result.err and result.out == b""
        for words in (("encrypt",), ("cipher", "encrypt", "--iv", IV["gcm"])):
            refused = run(*words, "--provider", "kernel", "--key-file", "key", "data", "out")
            assert refused.status == 8 and not (files / "out").exists()
            assert "likely cause: " in refused.err
    else:
        assert (result.status, result.out) == (0, ours)


# ---- a kernel that refuses ----

DENY = pathlib.Path(__file__).resolve().parents[1] / "harness" / "deny"
AF_ALG = 38


@pytest.mark.parametrize("error, status, cause", [
    ("EPERM", "denied", "a container's seccomp profile"), ("EAFNOSUPPORT", "absent", "this kernel has no AF_ALG")])
def test_a_kernel_that_refuses_is_8(sockeye, start, files, error, status, cause):
    """Nothing is computed by the other provider in its place."""
    prefix = (sys.executable, DENY, f"socket:{AF_ALG}={error}", "--")
    if start(*prefix, "true").wait():
        pytest.skip("no seccomp filter to be had here")
    for words in (("hash", "data"), ("encrypt", "--key-file", "key", "data", "out"),
                  ("cipher", "encrypt", "--key-file", "key", "--iv", IV["gcm"], "data", "out")):
        process = start(*prefix, sockeye, words[0], "--provider", "kernel", *words[1:], cwd=files)
        assert (process.wait(), process.stdout) == (8, b""), words
        assert "by the kernel: socket" in process.stderr and f"likely cause: {cause}" in process.stderr
        assert not (files / "out").exists()
    doctor = start(*prefix, sockeye, "doctor", "--json", "kernel-gcm")
    assert doctor.wait() == 8 and json.loads(doctor.stdout)["status"] == status
