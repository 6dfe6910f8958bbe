"""Measures rows of the benchmarks side by side: see README.md. bench/run builds what this needs and starts it."""

import argparse
import copy
import importlib
import json
import math
import pathlib
import resource
import subprocess
import sys
import tempfile

import measure
import report
import table

HERE = pathlib.Path(__file__).resolve().parent
ENGINES = ("epoll", "io_uring")  # of those that this host allows, unless --engines says others
TWIN = " again"  # the same a second time: how far apart two of one kind come out


def all_rows():
    found = {}
    for path in sorted((HERE / "rows").glob("*.py")):
        for row in importlib.import_module(f"rows.{path.stem}").ROWS:
            found[row.name] = row
    return found


def usable_engines(context, wanted):
    out = subprocess.run([context.sockeye, "doctor", "--json"], stdout=subprocess.PIPE, check=False).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    usable = [row["name"] for row in rows if row["area"] == "engine" and row["status"] == "usable"]
    return [name for name in usable if name in wanted]


def with_engine(rival, engine):
    made = copy.copy(rival)
    made.name = rival.name.replace("{engine}", engine)
    made.words = [word.replace("{engine}", engine) for word in rival.words]
    return made


def expanded(rivals, engines):
    """A rival for each engine, where one has {engine} in its name; and the first of ours a second time."""
    found = []
    for rival in rivals:
        several = "{engine}" in rival.name
        found += [with_engine(rival, engine) for engine in engines] if several else [rival]
    ours = [rival for rival in found if rival.ours]
    if ours:
        twin = copy.copy(ours[0])
        twin.name += TWIN
        found.append(twin)
    return found


def present(row, context, options, engines):
    """The rivals that can be measured, and why the others cannot."""
    rivals, left_out = [], {}
    for rival in expanded(row.rivals, engines):
        if options.only and not any(text in rival.name for text in options.only):
            continue
        if measure.installed(context.program(rival)):
            rivals.append(rival)
        else:
            left_out[rival.name] = f"{rival.package or context.program(rival)} is not installed"
    return rivals, left_out


def minutes(rows, context, options, engines):
    """About how long rows will take; a row's work may say what one measurement of it does."""
    seconds = 0
    for row in rows:
        lasts = getattr(row.work, "lasts", lambda given: given + 3)
        seconds += options.rounds * len(present(row, context, options, engines)[0]) * lasts(options.seconds)
    return math.ceil(seconds / 60)


def measure_row(row, context, options, engines, machine):
    """All samples of a row, rounds interleaved: every round measures each rival once, every second one in the
    opposite order, so that what drifts meets all of them alike. None where nobody could be measured."""
    rivals, left_out = present(row, context, options, engines)
    samples = {rival.name: [] for rival in rivals}
    for number in range(options.rounds):
        for rival in rivals[::-1] if number % 2 else rivals:
            if rival.name in left_out:
                continue
            try:
                figure, seen = row.work.measure(context, rival)
            except (measure.Failed, OSError, subprocess.SubprocessError) as failed:
                left_out[rival.name] = str(failed)
                print(f"{row.name}: {rival.name}: {failed}", file=sys.stderr)
                continue
            samples[rival.name].append({"figure": figure, **seen})
            if options.verbose:
                print(f"{row.name}: round {number + 1}: {rival.name}: {figure:.4g}", file=sys.stderr)
    kept = [rival for rival in rivals if samples[rival.name]]
    if not kept:
        print(f"{row.name}: nothing could be measured", file=sys.stderr)
        return None
    return report.summary(row, kept, samples, left_out, TWIN, machine)


def more_descriptors(count):
    """As many as the largest row needs, or as many as we may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, count), max(hard, count)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures sockeye beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to measure, or 'all'")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, default=2, help="how long each time, where time is the measure (2)")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=ENGINES,
                        help="engines of sockeye's, with commas between (epoll,io_uring)")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="TEXT,...",
                        help="only the rivals whose name holds one of these")
    parser.add_argument("--save", type=pathlib.Path, metavar="FOLDER",
                        help="write NAME.json and NAME.svg there, and a page of all that the folder holds")
    parser.add_argument("--verbose", action="store_true", help="show each sample")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()

    rows = all_rows()
    if options.list or not options.names:
        for row in rows.values():
            print(f"{row.name:14} {row.title}; {row.unit}")
        return
    names = list(rows) if options.names == ["all"] else options.names
    if unknown := [name for name in names if name not in rows]:
        sys.exit(f"bench/run: no row {', '.join(unknown)}; --list shows them")
    more_descriptors(65536)
    machine = report.machine(measure.cpus())
    print(report.machine_text(machine))
    context = table.Context(options.build, "", options.seconds)
    engines = usable_engines(context, options.engines)
    for number, name in enumerate(names):
        left = minutes([rows[name] for name in names[number:]], context, options, engines)
        print(f"row {number + 1} of {len(names)}, {name}: about {left} min to the end", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="eye-bench") as context.folder:
            told = measure_row(rows[name], context, options, engines, machine)
        if told:
            print(report.text(told), flush=True)
        if told and options.save:
            report.save(options.save, told, rows)


if __name__ == "__main__":
    main()
