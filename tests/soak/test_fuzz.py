"""A short run of every fuzz target, from its corpus on: a minute of those of packets, and less of the others.
FUZZ_SECONDS is for a longer one."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = {"fuzz_dissect": 20, "fuzz_format": 20, "fuzz_capture": 20, "fuzz_transfer": 8}


@pytest.mark.parametrize("target", sorted(path.stem for path in (ROOT / "fuzz").glob("fuzz_*.c")))
def test_fuzz(target, start, tmp_path):
    seconds = int(os.environ.get("FUZZ_SECONDS", SECONDS.get(target, 4)))
    binary = pathlib.Path(os.environ["SOCKEYE_BUILD"]) / "fuzz" / target
    found = tmp_path / "found"
    found.mkdir()
    corpus = ROOT / "fuzz/corpus" / target.removeprefix("fuzz_")
    fuzzer = start(binary, f"-max_total_time={seconds}", "-timeout=10", "-print_final_stats=1", found,
                   *([corpus] if corpus.is_dir() else []), cwd=tmp_path)
    status = fuzzer.wait(seconds + 60)
    assert status == 0, fuzzer
    assert "stat::number_of_executed_units" in fuzzer.stderr, fuzzer
