"""Draws docs/sockeye.svg, the terminal on the first page: picture.py SOCKEYE >docs/sockeye.svg

What it shows is what the commands printed, in a network namespace of their own (unshare(1)), so that the
ports of the example are free.
"""

import html
import os
import pathlib
import re
import subprocess
import sys

# What is typed, and what has been printed once it is done.
SESSION = [
    ("sockeye echo unix:./echo.sock &", r"listening"),
    ("sockeye relay -v :8080 unix:./echo.sock &", r"listening.*8080"),
    ("echo 'hello, sockeye' | nc -N localhost 8080", r"(?s)hello.*closed"),
    ("sockeye connect tcp:localhost:8080,nodelai", r"did you mean"),
    ("sockeye resolve localhost 0xc000027b 10.0.0.256", r"(?s)cause.*192\.0\.2\.123"),
]
WIDTH = 104
LINE, CHAR, MARGIN = 19, 8.2, 18


def record(sockeye):
    """The lines of the terminal, pairs of kind ("typed" or "said") and text."""
    env = dict(os.environ, PATH=f"{pathlib.Path(sockeye).resolve().parent}:{os.environ['PATH']}")
    script = "ip link set lo up; cd \"$(mktemp -d)\"; exec bash 2>&1"
    shell = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, env=env, bufsize=0)
    lines = []
    for typed, printed in SESSION:
        shell.stdin.write(typed.encode() + b"\n")
        said = ""
        while not (re.search(printed, said) and said.endswith("\n")):
            piece = os.read(shell.stdout.fileno(), 65536)
            if not piece:
                sys.exit(f"'{typed}' ended with only: {said}")
            said += piece.decode()
        lines.append(("typed", f"$ {typed}"))
        lines += [("said", line) for line in said.splitlines()]
    shell.stdin.write(b"kill %1 %2; rm -r \"$PWD\"\n")
    shell.stdin.close()
    shell.wait()
    return lines


def wrapped(lines):
    for kind, text in lines:
        while len(text) > WIDTH:
            cut = text.rfind(" ", 0, WIDTH)
            yield kind, text[:cut]
            text = "    " + text[cut + 1:]
        yield kind, text


def draw(lines):
    lines = list(wrapped(lines))
    width, height = WIDTH * CHAR + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN + 22
    colour = {"typed": "#f8f8f2", "said": "#a9c7e8"}
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
           f'role="img" aria-label="sockeye at work in a terminal">')
    yield f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#1f2430"/>'
    for index, fill in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        yield f'<circle cx="{MARGIN + 6 + 20 * index}" cy="18" r="6" fill="{fill}"/>'
    yield '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13.5" xml:space="preserve">'
    for number, (kind, text) in enumerate(lines):
        y = MARGIN + 22 + number * LINE + 13
        weight = ' font-weight="bold"' if kind == "typed" else ""
        length = f' textLength="{len(text) * CHAR:.1f}"' if text else ""
        yield f'<text x="{MARGIN}" y="{y}" fill="{colour[kind]}"{weight}{length}>{html.escape(text)}</text>'
    yield "</g>"
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(draw(record(sys.argv[1]))))
