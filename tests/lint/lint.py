"""Checks of the tree itself, printed as TAP: lint.py [CHECK...] runs all, or those that are named.

A check is one function that yields a line for each fault; its name and its first line say what it is.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import floors

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 600
EXAMPLE_LINES_MAX = 60
WIDTH_MAX = 120
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
GENERATED = re.compile(r"build|\.git$")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


class Skip(Exception):
    """The check cannot run here, and why."""


def tree():
    """Every file that is in the project or about to be, relative to the root."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = shutil.which("git") and subprocess.run(command, capture_output=True, check=False, text=True)
    if listed and listed.returncode == 0:
        names = (pathlib.Path(name) for name in listed.stdout.split("\0") if name)
    else:  # an unpacked archive, or no git
        names = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = (name for name in names if not GENERATED.match(name.parts[0]))
    return sorted(name for name in names if (ROOT / name).is_file())


FILES = tree()


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def ours(*suffixes):
    return [path for path in FILES if path.suffix in suffixes]


def shell_scripts():
    for path in FILES:
        with open(ROOT / path, "rb") as file:
            if re.match(rb"#!.*\b(?:bash|sh)\n", file.readline(80)):
                yield path


def output_of(tool, *args):
    if not shutil.which(tool):
        raise Skip(f"{tool} is not installed")
    run = subprocess.run([tool, *args], cwd=ROOT, capture_output=True, check=False, text=True)
    return (run.stdout + run.stderr).splitlines() if run.returncode else []


def check_floors():
    """includes lead downward"""
    yield from floors.check(ROOT, FILES)


def check_sizes():
    """one subject a file"""
    for path in ours(".c", ".h", ".py"):
        lines = text_of(path).count("\n")
        limit = EXAMPLE_LINES_MAX if path.parts[0] == "examples" else LINES_MAX
        if lines > limit:
            yield f"{path}: {lines} lines, at most {limit}"


def check_unfinished():
    """nothing is unfinished by its own word"""
    for path in FILES:
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if UNFINISHED.search(line):
                yield f"{path}:{number}: {line.strip()}"


def check_width():
    """scripts keep to a line's width"""
    for path in (*ours(".py"), *shell_scripts()):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if len(line) > WIDTH_MAX:
                yield f"{path}:{number}: {len(line)} columns, at most {WIDTH_MAX}"


def check_format():
    """C files are as clang-format writes them"""
    said = output_of("clang-format", "--dry-run", "-Werror", *ours(".c", ".h"))
    yield from (line for line in said if "error:" in line)


def check_shell():
    """shell scripts pass shellcheck"""
    yield from output_of("shellcheck", "-x", *shell_scripts())


def check_api_comments():
    """every public function has a comment above it"""
    for path in ours(".h"):
        if path.parent != pathlib.PurePath(floors.PUBLIC):
            continue
        lines = text_of(path).splitlines()
        for number, line in enumerate(lines):
            if not line.startswith("EYE_API"):
                continue
            top = number
            while top > 0 and lines[top - 1].strip():
                top -= 1
            if not any("*/" in above for above in lines[top:number]):
                yield f"{path}:{number + 1}: no comment above {line}"


def check_design_pages():
    """every folder of src/ has a page in docs/design/"""
    for folder in sorted({path.parts[1] for path in ours(".c") if path.parts[0] == "src"}):
        if not (ROOT / "docs/design" / f"{folder}.md").exists():
            yield f"docs/design/{folder}.md is missing"


def check_links():
    """links between pages lead somewhere"""
    for path in ours(".md"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for target in LINK.findall(line):
                if not (ROOT / path.parent / target).exists():
                    yield f"{path}:{number}: {target} does not exist"


def main(wanted):
    checks = {name.removeprefix("check_"): function for name, function in globals().items()
              if name.startswith("check_")}
    if unknown := set(wanted) - set(checks):
        sys.exit(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(checks)}")
    failed = False
    chosen = [(name, checks[name]) for name in wanted or checks]
    print("TAP version 13")
    print(f"1..{len(chosen)}")
    for number, (name, check) in enumerate(chosen, 1):
        title = f"{number} - {name}: {check.__doc__}"
        try:
            faults = list(check())
        except Skip as skip:
            print(f"ok {title} # SKIP {skip}")
            continue
        print(f"not ok {title}" if faults else f"ok {title}")
        for fault in faults:
            print(f"# {fault}")
        failed = failed or bool(faults)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
