"""Files: to a file, and to a socket."""

import pathlib
import shutil

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
         Rival("ncat", ["sh", "-c", "exec ncat --send-only 127.0.0.1 {port} <{folder}/from"], package="ncat")],
        Goal(1.05, ("bare sendfile",))),
    Row("send", "a cached file of 1 GiB, sent and verified: the sender's share", "CPU s per GB",
        Feed(units=SIZE, per=1e9, prepare=make_file, fresh=inbox, to=RECEIVER),
        [sockeye("sockeye", "send", "-q", "{folder}/from", "tcp:127.0.0.1:{port}"),
         Rival("without a digest",
               ["{sockeye}", "send", "-q", "--no-digest", "{folder}/from", "tcp:127.0.0.1:{port}"])],
        Goal(1.05, ("without a digest",))),
]
