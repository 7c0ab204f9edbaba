"""What ``make bench`` writes is checked, and what the book says of it follows from the times."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixgrad.errors import SourceError
from pixgrad.plots import speed
from pixgrad.results import benchmarks
from pixgrad.results.benchmarks import Bench, Contender, Work

OURS = Contender(name="наш", ours=True, seconds=[1.0, 2.0, 3.0])


def bench(*works: Work) -> Bench:
    return Bench(
        git_commit="0" * 40, versions={"numpy": "2"}, device="x", threads=1, load=(0.1, 0.2),
        works=list(works),
    )  # fmt: skip


def against(seconds: list[float], name: str = "их", quoted: str = "") -> Work:
    other = Contender(name=name, seconds=seconds, quoted=quoted)
    return Work(name="работа", clock="wall", contenders=[OURS, other])


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / "bench.json"
    made = bench(against([2.0, 1.0, 1.23456]))
    file.write_text(benchmarks.dump(made), "utf-8")
    found = benchmarks.load(file)
    assert found.works[0].contenders[1].seconds == [2.0, 1.0, 1.235]
    assert found.load == (0.1, 0.2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"load"', '"lode"'), "load"),
        (("1.235", "-1"), "seconds"),
        (("1.235", '"quick"'), "seconds"),
        (('"ours": true', '"ours": false'), "нужны и наш, и другие"),
        (("[\n", "["), ""),
    ],
)
def test_what_breaks_the_schema_is_named(tmp_path, change, told):
    file = tmp_path / "bench.json"
    text = benchmarks.dump(bench(against([2.0, 1.0, 1.23456]))).replace(*change)
    file.write_text(text, "utf-8")
    if told:
        with pytest.raises(SourceError, match=told):
            benchmarks.load(file)
    else:
        assert benchmarks.load(file)  # spaces are nothing


def test_rounds_that_someone_missed_are_refused(tmp_path):
    with pytest.raises(SourceError, match="у всех должно быть поровну кругов"):
        against([1.0, 2.0]).check(tmp_path / "bench.json")


def test_ratio_is_that_of_the_same_round_or_to_a_quoted_range():
    (work,) = bench(against([2.0, 1.0, 3.0])).works
    np.testing.assert_allclose(work.ratios(*work.contenders), [0.75, 1.0, 1.5])
    work = against([4.0, 8.0], quoted="книга")
    np.testing.assert_allclose(work.ratios(*work.contenders), [2 / 8, 2 / 6, 2 / 4])


def test_losses_are_told_with_the_rest():
    slow, alike, fast = ([0.1] * 3, "скорый"), ([1.0, 2.1, 2.9], "ровня"), ([30.0] * 3, "тихий")
    found = bench(*(against(*one) for one in (slow, alike, fast)))
    table = speed.bench_table(found).data
    verdicts = [row.split("|")[-2].strip() for row in table.split("\n")[2:]]
    assert verdicts == ["медленнее", "наравне", "быстрее"]
    assert "| наш: 2,0\N{NO-BREAK SPACE}с | скорый: 100\N{NO-BREAK SPACE}мс |" in table
    assert speed.bench_losses(found) == (
        "Медленнее мы в 1 из 3 сравнений: наш против скорый (работа)."
    )
    assert "ни в одном сравнении из 1" in speed.bench_losses(bench(against(*fast)))


def test_without_a_run_the_page_says_so(tmp_path):
    assert benchmarks.load(tmp_path / "none.json") is None
    assert "ещё не измерено" in speed.bench_table(None).data


@pytest.mark.slow
def test_smallest_run_is_whole(tmp_path):
    """Every peer that is installed, in the same rounds; a peer that is not is named."""
    root, file = Path(__file__).parents[2], tmp_path / "bench.json"
    command = [sys.executable, root / "benchmarks" / "bench.py", "--rounds", "2", "--smallest"]
    done = subprocess.run(
        [*command, "--to", file], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = benchmarks.load(file)
    photo, network, *book = found.works
    names = {one.name for one in photo.contenders} | set(found.missing)
    assert names == {"numba", "NumPy", "OpenCV", "scikit-image", "kornia"}
    assert {one.name for one in network.contenders} == {"NumPy", "PyTorch"}
    assert len(book) == 3
    assert all(work.contenders[1].quoted for work in book)
    assert speed.bench_losses(found)
