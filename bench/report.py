"""What follows from the samples: one dict, which is the JSON, and from it a table, a picture, and a page of all."""

import html
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import time


def congestion():
    """tcp(7), tcp_congestion_control"""
    try:
        return pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def machine(cpus):
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"cpu": model, "cpus": os.cpu_count(), "server_cpu": cpus[0], "load_cpu": cpus[1],
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver()), "congestion": congestion(),
            "load_average": round(os.getloadavg()[0], 2), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def machine_text(facts):
    return (f"{facts['cpu']}, {facts['cpus']} CPUs (server on {facts['server_cpu']}, load on {facts['load_cpu']}), "
            f"Linux {facts['kernel']}, {facts['congestion']}, {facts['libc']}, load average "
            f"{facts['load_average']:.2f}, {facts['time']}")


def version(package):
    """As the distribution's package says it."""
    words = ["dpkg-query", "-W", "-f", "${Version}", package]
    try:
        out = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return out.stdout.strip() or "unknown"


def rounded(value):
    """To six digits, which is more than any of them is good for."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def over(samples, name, other):
    """How many times what another one used: the median of the rounds' ratios, since a round is one moment, and the
    machine's speed changes from one to the next. None where nothing is there to divide by."""
    pairs = zip(samples.get(name, ()), samples.get(other, ()))
    ratios = [mine["figure"] / theirs["figure"] for mine, theirs in pairs if theirs["figure"]]
    return rounded(statistics.median(ratios)) if ratios else None


def over_best(samples, medians, names):
    """Each one's ratio to the best of some."""
    known = [name for name in names if name in medians]
    if not known:
        return {}
    best = min(known, key=medians.get)
    ratios = {name: over(samples, name, best) for name in medians}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def judged(goal, samples, key, ours):
    """Whether a goal for something else that was seen is reached."""
    medians = {name: statistics.median(sample[key] for sample in found) for name, found in samples.items()
               if found and all(key in sample for sample in found)}
    limit = goal.limit(medians)
    return {"text": f"at most {goal.text()}", "limit": limit,
            "reached": limit is not None and any(medians[name] <= limit for name in ours if name in medians)}


def summary(row, rivals, samples, left_out, twin, facts):
    """What was measured of a row. `twin` ends the name of what was measured a second time."""
    medians = {rival.name: rounded(statistics.median(sample["figure"] for sample in samples[rival.name]))
               for rival in rivals}
    spread = None
    for name in [name for name in medians if name.endswith(twin)]:
        del medians[name]
        ratio = over(samples, name, name.removesuffix(twin))
        spread = rounded(max(ratio, 1 / ratio) - 1) if ratio else None
    ours = [rival.name for rival in rivals if rival.ours and rival.name in medians]
    bare = [rival.name for rival in rivals if rival.bare]
    limit = row.goal.limit(medians)
    x_bare = over_best(samples, medians, bare)
    x_goal = over_best(samples, medians, row.goal.over) if row.goal.over else medians
    x_goal = {name: rounded(ratio / row.goal.factor) for name, ratio in x_goal.items()}
    return {
        "v": 1, "name": row.name, "title": row.title, "unit": row.unit, "machine": facts,
        "medians": medians, "x_bare": x_bare, "x_goal": x_goal, "ours": ours, "bare": bare,
        "goal": {"text": f"at most {row.goal.text()}", "limit": limit and rounded(limit),
                 "reached": any(x_goal.get(name, math.inf) <= 1 for name in ours)},
        "also": {key: judged(goal, samples, key, ours) for key, goal in row.also.items()},
        "same_twice": spread, "left_out": left_out,
        "versions": {rival.package: version(rival.package) for rival in rivals if rival.package},
        "samples": {rival.name: [{key: rounded(value) for key, value in sample.items()} for sample in
                                 samples[rival.name]] for rival in rivals},
    }


def to_json(told):
    """Indented, each sample on a line of its own."""
    text = json.dumps(told, indent=1)
    return re.sub(r"\{[^{}]*\}", lambda inner: re.sub(r"\n\s*", " ", inner[0]), text) + "\n"


# ---- the table ----

COLUMNS = ("median", "least", "most", "x bare", "x goal", "per s", "p50 us", "p99 us", "busy", "load", "dropped")


def cells(told):
    """For each rival, the smallest first: its name and the texts of COLUMNS."""
    for name, median in sorted(told["medians"].items(), key=lambda pair: pair[1]):
        figures = [sample["figure"] for sample in told["samples"][name]]
        row = [f"{figure:.4g}" for figure in (median, min(figures), max(figures))]
        row += [f"{told[key][name]:.3f}" if name in told[key] else "" for key in ("x_bare", "x_goal")]
        for key, form in (("per_s", ".0f"), ("p50_us", ".1f"), ("p99_us", ".1f"), ("busy", ".2f"),
                          ("load_busy", ".2f"), ("dropped", ".2%")):
            seen = [sample[key] for sample in told["samples"][name] if key in sample]
            middle = statistics.median(seen) if seen else None
            row.append(f"{middle:{form}}" if middle else "")
        yield name, row


def verdict(told):
    """The best of ours, and whether that is good enough."""
    known = [(told["x_goal"][name], name) for name in told["ours"] if name in told["x_goal"]]
    if not known:
        return "", "was not measured"
    ratio, name = min(known)
    return name, f"{'reached' if ratio <= 1 else 'missed'}, at {ratio:.3f} of it"


def remarks(told):
    yield f"goal: {told['goal']['text']}: {verdict(told)[1]}"
    for key, also in told.get("also", {}).items():
        limit = "" if also["limit"] is None else f" = {also['limit']:.2%}"
        yield f"goal: {key} {also['text']}{limit}: {'reached' if also['reached'] else 'missed'}"
    if told["same_twice"] is not None:
        yield f"the same twice: {told['same_twice']:.1%} apart"
    if told["versions"]:
        yield ", ".join(f"{package} {said}" for package, said in told["versions"].items())
    for name, why in told["left_out"].items():
        yield f"left out: {name}: {why.splitlines()[0]}"


def text(told):
    widths = (10, 10, 10, 8, 8, 12, 9, 9, 6, 6, 9)
    lines = [f"\n{told['name']}: {told['title']}; {told['unit']}\n"]
    for name, row in [("", COLUMNS), *cells(told)]:
        lines.append(f"    {name:24}{''.join(cell.rjust(width) for cell, width in zip(row, widths))}".rstrip())
    return "\n".join(lines + [f"    {remark}" for remark in remarks(told)])


def page(all_told):
    """All of a folder, in Markdown."""
    yield "# As measured\n"
    yield "Written by `bench/run --save`; how, and what the columns are, says [bench/README.md](../README.md).\n"
    yield "| row | what | ours | goal | |\n|---|---|---|---|---|"
    for told in all_told:
        best, said = verdict(told)
        figure = f"{told['medians'][best]:.4g} ({best})" if best else ""
        anchor = told["name"].replace(".", "")  # as GitHub and GitLab make them of headings
        yield (f"| [{told['name']}](#{anchor}) | {told['title']}; {told['unit']} | {figure} | "
               f"{told['goal']['text']} | {said} |")
    for told in all_told:
        yield f"\n## {told['name']}\n\n![{told['title']}]({told['name']}.svg)\n"
        yield f"| {told['unit']} | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}"
        for name, row in cells(told):
            yield f"| {name} | {' | '.join(row)} |"
        yield ""
        yield from (f"- {remark}" for remark in remarks(told))
        yield f"- {machine_text(told['machine'])}"


# ---- the picture ----

WIDTH, NAME, BAR, LINE, TOP = 760, 190, 440, 26, 58
COLOUR = {"ours": "#d9512c", "bare": "#8a93a6", "peer": "#4a7ab5"}


def picture(told):
    """A bar for each, the shortest first; a dashed line where the goal is; the range of samples as a whisker."""
    order = sorted(told["medians"].items(), key=lambda pair: pair[1])
    goal = told["goal"]["limit"]
    most = max(max(told["medians"].values()), goal or 0)
    height = TOP + LINE * len(order) + 48
    title = html.escape(told["title"])
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="{title}" font-family="system-ui, sans-serif" font-size="13">')
    yield f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    yield f'<text x="16" y="24" font-size="16" font-weight="bold" fill="#1f2430">{title}</text>'
    yield f'<text x="16" y="44" fill="#5a6272">{html.escape(told["unit"])}; less is better</text>'
    for x, kind, words in ((460, "ours", "sockeye"), (546, "bare", "system calls alone"), (688, "peer", "others")):
        yield (f'<rect x="{x}" y="34" width="11" height="11" rx="2" fill="{COLOUR[kind]}"/>'
               f'<text x="{x + 17}" y="44" font-size="12" fill="#5a6272">{words}</text>')
    for number, (name, median) in enumerate(order):
        y = TOP + number * LINE
        kind = "ours" if name in told["ours"] else "bare" if name in told["bare"] else "peer"
        figures = [min(sample["figure"] / most, 1.09) * BAR for sample in told["samples"][name]]
        bold = ' font-weight="bold"' if kind == "ours" else ""
        yield (f'<text x="{NAME - 8}" y="{y + 17}" text-anchor="end" fill="#1f2430"{bold}>'
               f'{html.escape(name)}</text>')
        yield (f'<rect x="{NAME}" y="{y + 4}" width="{median / most * BAR:.1f}" height="{LINE - 8}" rx="2" '
               f'fill="{COLOUR[kind]}"/>')
        yield (f'<path d="M{NAME + min(figures):.1f} {y + LINE / 2}H{NAME + max(figures):.1f}" '
               f'stroke="#1f2430" stroke-opacity=".55"/>')
        yield f'<text x="{NAME + BAR + 110}" y="{y + 17}" text-anchor="end" fill="#1f2430">{median:.3g}</text>'
    if goal:
        x, end = NAME + goal / most * BAR, TOP + LINE * len(order)
        yield f'<path d="M{x:.1f} {TOP}V{end + 4}" stroke="#1f2430" stroke-dasharray="4 3"/>'
        yield f'<text x="{x:.1f}" y="{end + 18}" text-anchor="middle" fill="#1f2430">goal {goal:.3g}</text>'
    yield (f'<text x="16" y="{height - 10}" font-size="11" fill="#5a6272">'
           f'{html.escape(machine_text(told["machine"]))}</text>')
    yield "</svg>"


def save(folder, told, order):
    """Writes a row's JSON and picture, and the page of all that the folder holds, in the table's order."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{told['name']}.json").write_text(to_json(told), encoding="utf-8")
    (folder / f"{told['name']}.svg").write_text("\n".join(picture(told)) + "\n", encoding="utf-8")
    saved = [json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
             for name in order if (folder / f"{name}.json").exists()]
    (folder / "README.md").write_text("\n".join(page(saved)) + "\n", encoding="utf-8")
