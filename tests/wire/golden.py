#!/usr/bin/python3
"""The golden captures and what `sniff` says of them: as JSON, as lines, as blocks, and of some as dumps.

    tests/wire/golden.py          checks all; $SOCKEYE is the command
    tests/wire/golden.py refresh  writes golden/NAME.* anew, to be read before it is committed

A row of ROWS is a name, a capture, and the flags; what is expected stands in golden/NAME.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CAPTURES = sorted((HERE / "captures").glob("*.pcap"))
FORMS = {"json": ["--json", "--verify"], "lines": ["--time", "utc", "--verify"], "blocks": ["--detail"]}
DUMPS = {"hex": ["-xe", "--time", "none"], "both": ["-X", "--time", "none"], "text": ["-A", "--time", "none"]}
ROWS = [(f"{path.stem}.{form}", path.name, flags) for path in CAPTURES for form, flags in FORMS.items()]
ROWS += [(f"tcp.{form}", "tcp.pcap", flags) for form, flags in DUMPS.items()]


def output_of(sockeye, capture, flags):
    return subprocess.run([sockeye, "sniff", "--quiet", *flags, "-r", HERE / "captures" / capture], check=True,
                          stdout=subprocess.PIPE).stdout


def expected(name):
    return (HERE / "golden" / name).read_bytes()


def main(words):
    failed = False
    for name, capture, flags in ROWS:
        got = output_of(os.environ["SOCKEYE"], capture, flags)
        if words == ["refresh"]:
            (HERE / "golden").mkdir(exist_ok=True)
            (HERE / "golden" / name).write_bytes(got)
        elif got != expected(name):
            print(f"{name} differs")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
