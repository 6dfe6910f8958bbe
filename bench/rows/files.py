"""Files: to a file, and to a socket."""

import os
import pathlib
import shutil
import subprocess

from table import Feed, Goal, Rival, Row, Run, bare, sockeye

SIZE = 1 << 30


def make_file(folder):
    path = pathlib.Path(folder, "from")
    if not path.exists():
        with open("/dev/urandom", "rb") as random, open(path, "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(random.read(1 << 20))
        path.read_bytes()  # cached from here on


def no_target(folder):
    pathlib.Path(folder, "to").unlink(missing_ok=True)


def inbox(folder):
    shutil.rmtree(pathlib.Path(folder, "in"), ignore_errors=True)
    pathlib.Path(folder, "in").mkdir()


def keys(folder):
    """Of a TLS server and of an SSH server and its user, for this run alone."""
    make_file(folder)
    if pathlib.Path(folder, "user").exists():
        return
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", "tls.key", "-out", "tls.crt"],
                   cwd=folder, check=True, capture_output=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name], cwd=folder, check=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # as Debian's service does


SSHD = ["/usr/sbin/sshd", "-D", "-f", "/dev/null", "-p", "{port}", "-h", "{folder}/host", "-o", "StrictModes=no",
        "-o", "ListenAddress=127.0.0.1", "-o", "AuthorizedKeysFile={folder}/user.pub", "-o", "PidFile=none",
        "-o", "PermitRootLogin=yes"]
SSH = ("ssh -p {port} -i {folder}/user -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
       "-o LogLevel=ERROR -o Ciphers=aes128-gcm@openssh.com")
TLS = "tls:127.0.0.1:{port},suites=TLS_AES_128_GCM_SHA256"
CERTIFICATE = ",cert={folder}/tls.crt,key={folder}/tls.key"
RECEIVER = ["{sockeye}", "recv", "--keep", "--overwrite", "--no-sync", "-q", "tcp:127.0.0.1:{port}", "{folder}/in"]

ROWS = [
    Row("copy", "a cached file of 1 GiB to a file", "CPU s per GB",
        Run(units=SIZE, per=1e9, prepare=make_file, fresh=no_target),
        [sockeye("sockeye", "copy", "--no-sync", "{folder}/from", "{folder}/to"),
         bare("bare copy_file_range", "bare_copy", "{folder}/from", "{folder}/to"),
         Rival("cp", ["cp", "--reflink=never", "{folder}/from", "{folder}/to"], package="coreutils"),
         Rival("dd", ["dd", "if={folder}/from", "of={folder}/to", "bs=128k", "status=none"], package="coreutils")],
        Goal(1.05, ("cp",))),
    Row("send-raw", "a cached file of 1 GiB to a socket", "CPU s per GB",
        Feed(units=SIZE, per=1e9, prepare=make_file),
        [sockeye("sockeye", "send", "--raw", "-q", "{folder}/from", "tcp:127.0.0.1:{port}"),
         bare("bare sendfile", "bare_sendfile", "{folder}/from", "{port}"),
         Rival("nc", ["sh", "-c", "exec nc.openbsd -N 127.0.0.1 {port} <{folder}/from"], package="netcat-openbsd"),
         Rival("socat", ["socat", "-u", "-b65536", "FILE:{folder}/from", "TCP:127.0.0.1:{port}"], package="socat"),
         Rival("ncat", ["sh", "-c", "exec ncat --send-only 127.0.0.1 {port} <{folder}/from"], package="ncat"),
         Rival("iperf3 -Z", ["iperf3", "-c", "127.0.0.1", "-p", "{port}", "-Z", "-n", str(SIZE)],
               package="iperf3", to=["iperf3", "-4", "-s", "-1", "-p", "{port}"])],
        Goal(1.05, ("bare sendfile",))),
    Row("send", "a cached file of 1 GiB, sent and verified: the sender's share", "CPU s per GB",
        Feed(units=SIZE, per=1e9, prepare=make_file, fresh=inbox, to=RECEIVER),
        [sockeye("sockeye", "send", "-q", "{folder}/from", "tcp:127.0.0.1:{port}"),
         Rival("without a digest",
               ["{sockeye}", "send", "-q", "--no-digest", "{folder}/from", "tcp:127.0.0.1:{port}"])],
        Goal(1.05, ("without a digest",))),
    Row("send-tls", "a cached file of 1 GiB, encrypted on the way: the sender's share", "CPU s per GB",
        Feed(units=SIZE, per=1e9, prepare=keys, fresh=inbox),
        [Rival("sockeye", ["{sockeye}", "send", "-q", "{folder}/from", TLS + ",insecure"], ours=True,
               to=["{sockeye}", "recv", "--listen", "--no-sync", "-q", TLS + CERTIFICATE, "{folder}/in"]),
         Rival("sockeye, --no-digest", ["{sockeye}", "send", "-q", "--no-digest", "{folder}/from", TLS + ",insecure"],
               to=["{sockeye}", "recv", "--listen", "--no-sync", "-q", TLS + CERTIFICATE, "{folder}/in"]),
         Rival("openssl s_client", ["sh", "-c", "exec openssl s_client -quiet -nocommands -no_ign_eof "
                                    "-connect 127.0.0.1:{port} -ciphersuites TLS_AES_128_GCM_SHA256 <{folder}/from"],
               package="openssl",
               to=["sh", "-c", "sleep 600 | openssl s_server -quiet -naccept 1 -accept 127.0.0.1:{port} "
                               "-cert {folder}/tls.crt -key {folder}/tls.key >/dev/null"]),
         Rival("rsync over ssh", ["rsync", "--whole-file", "-e", SSH, "{folder}/from", "127.0.0.1:{folder}/in/"],
               package="rsync", to=SSHD)],
        Goal(1.05, ("openssl s_client", "rsync over ssh"))),
]
