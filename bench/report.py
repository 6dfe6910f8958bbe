"""What is said of the samples: a table, JSON, a picture."""

import html
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time


def machine(cpus):
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"cpu": model, "cpus": os.cpu_count(), "server_cpu": cpus[0], "load_cpu": cpus[1],
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver()), "load_average": os.getloadavg()[0],
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def machine_text(facts):
    return (f"{facts['cpu']}, {facts['cpus']} CPUs (server on {facts['server_cpu']}, load on {facts['load_cpu']}), "
            f"Linux {facts['kernel']}, {facts['libc']}, load average {facts['load_average']:.2f}, {facts['time']}")


def version(package):
    """As the distribution's package says it."""
    words = ["dpkg-query", "-W", "-f", "${Version}", package]
    try:
        out = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return out.stdout.strip() or "unknown"


class Result:
    """The samples of a row and what follows from them."""

    def __init__(self, row, rivals, samples, left_out, twin):
        self.row, self.rivals, self.left_out = row, rivals, left_out
        self.samples = {rival.name: samples[rival.name] for rival in rivals}
        self.medians = {name: statistics.median(sample["figure"] for sample in found)
                        for name, found in self.samples.items()}
        self.versions = {rival.package: version(rival.package) for rival in rivals if rival.package}
        self.bare = {rival.name for rival in rivals if rival.bare}
        self.ours = {rival.name for rival in rivals if rival.ours and not rival.name.endswith(twin)}
        self.goal = row.goal.limit(self.medians)
        self.spread = None
        for name in self.ours:
            if name + twin in self.medians:
                pair = self.medians[name], self.medians.pop(name + twin)
                self.spread = max(pair) / min(pair) - 1

    def reached(self):
        return self.goal is not None and any(self.medians[name] <= self.goal for name in self.ours)

    def _extremes(self, name):
        figures = [sample["figure"] for sample in self.samples[name]]
        return min(figures), max(figures)

    def _limit(self):
        known = [self.medians[name] for name in self.bare if name in self.medians]
        return min(known) if known else None

    def _told(self, name, key):
        """The median of what else was seen, or nothing."""
        seen = [sample[key] for sample in self.samples[name] if key in sample]
        return statistics.median(seen) if seen else None

    def text(self):
        limit, lines = self._limit(), [f"\n{self.row.name}: {self.row.title}; {self.row.unit}\n"]
        lines.append(f"    {'':24}{'median':>10}{'least':>10}{'most':>10}{'x bare':>8}{'x goal':>8}"
                     f"{'per s':>12}{'p50 us':>9}{'p99 us':>9}{'busy':>6}{'load':>6}")
        for name, median in sorted(self.medians.items(), key=lambda pair: pair[1]):
            least, most = self._extremes(name)
            line = f"    {name:24}{median:10.4g}{least:10.4g}{most:10.4g}"
            line += f"{median / limit:8.3f}" if limit else f"{'':8}"
            line += f"{median / self.goal:8.3f}" if self.goal else f"{'':8}"
            for key, width, form in (("per_s", 12, ".0f"), ("p50_us", 9, ".1f"), ("p99_us", 9, ".1f"),
                                     ("busy", 6, ".2f"), ("load_busy", 6, ".2f")):
                told = self._told(name, key)
                line += f"{told:{width}{form}}" if told else " " * width
            lines.append(line.rstrip())
        goal = f"at most {self.row.goal.text()}"
        goal += f" = {self.goal:.4g}, {'reached' if self.reached() else 'missed'}" if self.goal else ", unknown here"
        lines.append(f"    goal: {goal}")
        if self.spread is not None:
            lines.append(f"    the same twice: {self.spread:.1%} apart")
        lines += [f"    {package} {said}" for package, said in self.versions.items()]
        lines += [f"    left out: {name}: {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)

    def json(self, facts):
        return json.dumps({
            "v": 1, "name": self.row.name, "title": self.row.title, "unit": self.row.unit, "machine": facts,
            "versions": self.versions, "medians": self.medians, "samples": self.samples,
            "same_twice": self.spread, "goal": {"text": self.row.goal.text(), "limit": self.goal,
                                                "reached": self.reached()},
            "left_out": self.left_out}, indent=1) + "\n"

    def svg(self, facts):
        return "\n".join(draw(self, facts)) + "\n"


# ---- the picture ----

WIDTH, NAME, BAR, LINE, TOP = 760, 190, 440, 26, 58
COLOUR = {"ours": "#d9512c", "bare": "#8a93a6", "peer": "#4a7ab5"}


def draw(result, facts):
    """A bar for each, the shortest first; a dashed line where the goal is; the range of samples as a whisker."""
    order = sorted(result.medians.items(), key=lambda pair: pair[1])
    most = max(max(result.medians.values()), result.goal or 0)
    height = TOP + LINE * len(order) + 48
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="{html.escape(result.row.title)}" font-family="system-ui, sans-serif" font-size="13">')
    yield f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    yield f'<text x="16" y="24" font-size="16" font-weight="bold" fill="#1f2430">{html.escape(result.row.title)}</text>'
    yield f'<text x="16" y="44" fill="#5a6272">{html.escape(result.row.unit)}; less is better</text>'
    for number, (name, median) in enumerate(order):
        y = TOP + number * LINE
        kind = "ours" if name in result.ours else "bare" if name in result.bare else "peer"
        least, greatest = (value / most * BAR for value in result._extremes(name))
        bold = ' font-weight="bold"' if kind == "ours" else ""
        yield (f'<text x="{NAME - 8}" y="{y + 17}" text-anchor="end" fill="#1f2430"{bold}>'
               f'{html.escape(name)}</text>')
        yield (f'<rect x="{NAME}" y="{y + 4}" width="{median / most * BAR:.1f}" height="{LINE - 8}" rx="2" '
               f'fill="{COLOUR[kind]}"/>')
        yield (f'<path d="M{NAME + least:.1f} {y + LINE / 2}H{NAME + min(greatest, BAR + 40):.1f}" '
               f'stroke="#1f2430" stroke-opacity=".55"/>')
        yield f'<text x="{NAME + BAR + 110}" y="{y + 17}" text-anchor="end" fill="#1f2430">{median:.3g}</text>'
    end = TOP + LINE * len(order)
    if result.goal:
        x = NAME + result.goal / most * BAR
        yield f'<path d="M{x:.1f} {TOP}V{end + 4}" stroke="#1f2430" stroke-dasharray="4 3"/>'
        yield (f'<text x="{x:.1f}" y="{end + 18}" text-anchor="middle" fill="#1f2430">goal {result.goal:.3g}</text>')
    yield (f'<text x="16" y="{height - 10}" font-size="11" fill="#5a6272">'
           f'{html.escape(machine_text(facts))}</text>')
    yield "</svg>"
