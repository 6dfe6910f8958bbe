"""bench/: the rows that compare sockeye with others hold together, and one is measured, briefly."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import types
import xml.etree.ElementTree

import pytest

FIRST = {"echo-1": "bare epoll", "udp": "bare recvmmsg", "relay": "bare splice", "tls-resumed-1.3": "bare OpenSSL"}
BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import bench as module  # pylint: disable=import-outside-toplevel
    yield module
    for name in ("bench", "measure", "report", "table", *(name for name in sys.modules if name.startswith("rows"))):
        sys.modules.pop(name, None)


def test_rows_hold_together(bench, tmp_path):
    rows = bench.all_rows()
    assert len(rows) >= 12
    for row in rows.values():
        rivals = bench.expanded(row.rivals, ["epoll", "io_uring"])
        names = [rival.name for rival in rivals]
        assert len(set(names)) == len(names), f"{row.name}: two rivals of one name"
        assert set(row.goal.over) <= set(names), f"{row.name}: its goal names no rival"
        assert any(rival.ours for rival in rivals) and names[-1].endswith(bench.TWIN)
        context = bench.table.Context("/build", str(tmp_path), 1)
        for rival in rivals:
            words = context.words(rival, port=1, to=2)
            assert not [word for word in words if "{" in word], f"{row.name}: {rival.name}: {words}"


def test_how_long_it_takes(bench, tmp_path):
    """Twice as long for twice the rounds, and longer for longer ones."""
    def minutes(rounds, seconds):
        context = bench.table.Context("/build", str(tmp_path), seconds)
        options = types.SimpleNamespace(rounds=rounds, seconds=seconds, only=None)
        return bench.minutes([row], context, options, ["epoll"])
    row = bench.table.Row("name", "title", "s", bench.table.Serve([], 1), [bench.table.Rival("sh", ["sh"])] * 3,
                          bench.table.Goal(1))
    assert minutes(10, 59) == 30 and minutes(20, 59) == 60 and minutes(10, 119) == 60


def test_what_is_reported(bench, tmp_path):
    """Medians, ratios, the goal and the spread, from samples that were made up: a machine that becomes slower."""
    row = bench.table.Row("name", "a <title>", "CPU s", None, [], bench.table.Goal(2, ("bare",)))
    rivals = [bench.table.sockeye("ours"), bench.table.sockeye("ours again"), bench.table.bare("bare", "x"),
              bench.table.Rival("slow", ["slow"])]
    figures = {"ours": [2, 4, 8], "ours again": [2.2, 4.4, 8.8], "bare": [1, 3, 5], "slow": [9, 24, 35]}
    samples = {name: [{"figure": figure} for figure in found] for name, found in figures.items()}
    told = bench.report.summary(row, rivals, samples, {"gone": "not installed"}, bench.TWIN,
                                bench.report.machine((0, 1)))
    assert told["medians"] == {"ours": 4, "bare": 3, "slow": 24}
    assert told["x_bare"] == {"ours": 1.6, "bare": 1, "slow": 8}  # the rounds' ratios, not the medians'
    assert told["same_twice"] == pytest.approx(0.1)
    assert told["goal"]["limit"] == 6 and told["goal"]["reached"]
    bench.report.save(tmp_path, told, ["other", "name"])
    assert json.loads((tmp_path / "name.json").read_text(encoding="utf-8")) == told
    picture = xml.etree.ElementTree.parse(tmp_path / "name.svg")
    texts = ["".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <title>" in texts and {"ours", "bare", "slow"} <= set(texts) and "ours again" not in texts
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| slow | 24 | 9 | 35 | 8.000 | 4.000 |" in page and "left out: gone: not installed" in page
    assert "reached, at 0.800 of it" in bench.report.text(told) and "10.0% apart" in bench.report.text(told)
    missed = bench.report.summary(row, rivals, samples | {"ours": [{"figure": 2.1}]}, {}, bench.TWIN, {})
    assert not missed["goal"]["reached"] and missed["x_goal"]["ours"] == 1.05


def test_a_row_is_measured(tmp_path):
    build = pathlib.Path(os.environ["SOCKEYE_BUILD"])
    if not (build / "bench" / "load").exists():
        pytest.skip("this build has no bench/ (meson option bench)")
    run = subprocess.run([sys.executable, BENCH / "bench.py", "--build", build, "--rounds", "1", "--seconds", "0.1",
                          "--engines", "epoll", "--only", "sockeye,bare", "--save", tmp_path, *FIRST],
                         capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    for name, bare in FIRST.items():
        told = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert told["medians"]["sockeye epoll"] > 0 and told["medians"][bare] > 0
        assert told["same_twice"] >= 0 and told["machine"]["kernel"] == os.uname().release
        xml.etree.ElementTree.parse(tmp_path / f"{name}.svg")
    left = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            left += [path] if str(build / "bench").encode() in path.read_bytes() else []
    assert not left
