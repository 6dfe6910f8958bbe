"""Which file may include which: downward only, so that each floor can be read without those above it.

Every folder of src/ stands on a floor, and so does each public header, on that of the folder that
implements it. A file includes its own folder and lower floors. Two folders on one floor are siblings
that do not know each other. The command and the examples see the public headers and nothing else.
"""

import pathlib
import re

FLOOR = {"base": 0, "sys": 1, "name": 2, "file": 2, "loop": 3, "tls": 3, "net": 4, "crypto": 4, "wire": 4,
         "flow": 5, "doctor": 5}
LOOPLESS = ("crypto", "wire")  # plain blocking code
HOME = {"err.h": "base", "addr.h": "base",  # the value is for all; the functions are name's
        "newfile.h": "sys", "privileges.h": "sys", "endpoint.h": "name", "file.h": "file", "loop.h": "loop",
        "tls.h": "tls",
        "stream.h": "net",
        "crypto.h": "crypto", "packet.h": "wire", "capture.h": "wire", "flow.h": "flow",
        "transfer.h": "flow", "doctor.h": "doctor"}
ALL_OF_THEM = "sockeye.h"
PUBLIC = "include/sockeye"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(text):
    """Pairs of line number and (quote, name)."""
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def folder_of(root, path, quote, name):
    """The folder of ours that an include leads to, None for the system's; an error as ValueError."""
    if quote == "<":
        if name.startswith("sockeye/"):
            header = name.removeprefix("sockeye/")
            if header == ALL_OF_THEM:
                return ALL_OF_THEM
            if header not in HOME:
                raise ValueError(f"<{name}> has no floor")
            return HOME[header]
        if (root / "src" / name).exists():
            raise ValueError(f'<{name}> is ours: write "{name}"')
        return None
    for candidate in (path.parent / name, root / "src" / name):
        if candidate.exists():
            return candidate.resolve().relative_to(root).parts
    raise ValueError(f'"{name}" is not to be found')


def complaint(path, target):
    """What is wrong with a file (relative to the root) that includes a folder, or None."""
    top = path.parts[0]
    if top == "src" or path.parent == pathlib.PurePath(PUBLIC):
        if path.name == ALL_OF_THEM:
            return None
        own = path.parts[1] if top == "src" else HOME.get(path.name)
        if own not in FLOOR:
            return f"{own or path} has no floor"
        if isinstance(target, tuple):
            if target[0] != "src":
                return f"leads out of src/, to {'/'.join(target)}"
            target = target[1]
        if target == ALL_OF_THEM or target not in FLOOR:
            return f"{target} is above every floor"
        if target == own:
            return None
        if FLOOR[target] >= FLOOR[own]:
            return f"{own} (floor {FLOOR[own]}) may not include {target} (floor {FLOOR[target]})"
        if own in LOOPLESS and target == "loop":
            return f"{own} does without the loop"
        return None
    if isinstance(target, tuple) and target[:-1] != path.parts[:-1]:
        return f"{top} may include public headers and its own folder, not {'/'.join(target)}"
    return None


def check(root, paths):
    """Yields a line for each include that breaks the rules. paths are relative to root."""
    for path in paths:
        guarded = path.parts[0] in ("src", "cmd", "examples") or path.parts[:2] == ("include", "sockeye")
        if path.suffix not in (".c", ".h") or not guarded:
            continue
        for line, quote, name in includes((root / path).read_text(encoding="utf-8")):
            try:
                target = folder_of(root, root / path, quote, name)
            except ValueError as error:
                yield f"{path}:{line}: {error}"
                continue
            fault = target and complaint(path, target)
            if fault:
                yield f"{path}:{line}: {fault}"
