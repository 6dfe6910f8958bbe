"""Sums up a test run: tally.py FOLDER.

FOLDER/stages has a line for each stage, its name and exit status (77: skipped). FOLDER/NAME.xml, where
there is one, holds the stage's cases as JUnit XML, as meson and pytest write it; a stage without one is
a case itself. Prints what was skipped, by name and with the reason, then "N passed, N failed" as the
last line; ends with 1 when anything failed or nothing ran.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

SKIPPED = 77


def cases(path):
    """Yields (name, outcome, reason) of each case of a JUnit file."""
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}: {case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None:
            reason = skipped.get("message") or case.findtext("system-out") or ""
            yield name, "skipped", reason.rpartition("# SKIP")[2]
        else:
            yield name, "passed", ""


def outcomes(folder):
    for line in (folder / "stages").read_text(encoding="utf-8").splitlines():
        stage, status = line.split("\t")
        status = int(status)
        file = folder / f"{stage}.xml"
        found = []
        if file.exists():
            try:
                found = list(cases(file))
            except ElementTree.ParseError:
                status = status or 1
        for name, outcome, reason in found:
            yield f"{stage}: {name}", outcome, reason
        if status == SKIPPED:
            lines = (folder / f"{stage}.log").read_text(encoding="utf-8", errors="replace").splitlines()
            yield stage, "skipped", lines[-1] if lines else ""
        elif status and not any(outcome == "failed" for _, outcome, _ in found):
            yield stage, "failed", ""
        elif not status and not file.exists():
            yield stage, "passed", ""


def main(folder):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, outcome, reason in outcomes(pathlib.Path(folder)):
        count[outcome] += 1
        if outcome != "passed":
            print(f"{outcome}: {name}" + (f": {reason.strip()}" if reason else ""))
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return count["failed"] > 0 or count["passed"] == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
