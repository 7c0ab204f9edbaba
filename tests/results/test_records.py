"""Records: the schema, and what identifies code, commit and versions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixgrad import results
from pixgrad.errors import PixgradError, SourceError
from pixgrad.results import records

RECORD = {
    "experiment": "demo",
    "preset": "report",
    "seeds": [1],
    "data": "mnist",
    "data_fingerprint": {"test": "ab"},
    "git_commit": "c0ffee",
    "code_digest": "12",
    "versions": {"numpy": "2"},
    "device": "cpu",
    "threads": 1,
    "wall_s": 1.5,
    "runs": [
        {
            "name": "a-1",
            "seed": 1,
            "config": {"lr": 0.1, "widths": [1, 2]},
            "status": "diverged",
            "steps": 7,
            "message": "слой 0",
            "wall_s": 2.5,
            "cpu_s": 1.25,
            "first_losses": [0.1 + 0.2, 1e-300],
            "metrics": {},
        }
    ],
}


def parse(**changes) -> records.Record:
    return records.parse_record(json.dumps(RECORD | changes).encode(), Path("record.json"))


def test_record_round_trip_keeps_every_bit():
    record = parse()
    again = records.parse_record(record.model_dump_json(indent=1).encode(), Path("x"))
    assert again.model_dump() == RECORD
    assert again.runs[0].first_losses == [0.1 + 0.2, 1e-300]


def test_the_fixed_keys():
    expected = (
        "experiment, preset, seeds, data, data_fingerprint, git_commit, code_digest, versions, "
        "device, threads, wall_s, runs"
    )
    assert list(records.Record.model_fields) == expected.split(", ")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (json.dumps(RECORD | {"wall_s": "long"}), "wall_s"),
        (json.dumps(RECORD | {"weights": []}), "weights"),
        (json.dumps({k: v for k, v in RECORD.items() if k != "data"}), "data"),
        (json.dumps(RECORD | {"runs": [RECORD["runs"][0] | {"status": "ok"}]}), "runs.0.status"),
        ('{"experiment": "mn', "JSON"),
    ],
)
def test_a_wrong_record_names_file_and_field(raw, field):
    with pytest.raises(SourceError) as caught:
        records.parse_record(raw.encode(), Path("results/demo/record.json"))
    assert str(caught.value).startswith(f"results/demo/record.json: запись опыта неверна: {field}")


def test_imports_found_in_the_sources_are_those_that_python_makes():
    """The independent source: ``sys.modules`` of a fresh interpreter."""
    code = (
        "import sys, pixgrad.experiments.mnist\n"
        "assert 'torch' not in sys.modules\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('pixgrad.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    executed = {Path(file).relative_to(records.PACKAGE).as_posix() for file in done.stdout.split()}
    found = {
        path.relative_to(records.PACKAGE).as_posix()
        for path in records.imported_files("pixgrad.experiments.mnist")
    }
    loaders = {name for name in executed if name.startswith("data/")}
    assert executed - loaders - {"dataroot.py"} == found
    assert {"backprop/convolution.py", "experiments/mnist.py", "errors.py"} <= found


def test_code_digest_follows_imports_and_only_them(tmp_path, monkeypatch):
    package = tmp_path / "pixgrad"
    sources = {
        "__init__.py": "",
        "one.py": "def f():\n    from pixgrad.inner import two\n",
        "inner/__init__.py": "",
        "inner/two.py": "import pixgrad.three as t\nimport json\n",
        "three.py": "x = 1\n",
        "other.py": "x = 1\n",
    }
    for name, text in sources.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(records, "PACKAGE", package)
    first = records.code_digest("pixgrad.one")
    (package / "other.py").write_text("x = 2\n", encoding="utf-8")
    assert records.code_digest("pixgrad.one") == first
    (package / "three.py").write_bytes(b"x = 1\r\n")
    assert records.code_digest("pixgrad.one") == first
    (package / "three.py").write_text("x = 2\n", encoding="utf-8")
    assert records.code_digest("pixgrad.one") != first


def test_git_commit(tmp_path):
    def git(*words: str) -> str:
        options = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *options, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1", encoding="utf-8")
    git("add", "a")
    git("commit", "-qm", "first")
    git("tag", "-am", "a tag must not replace the hash", "v1")
    assert records.git_commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "a").write_text("2", encoding="utf-8")
    assert records.git_commit(tmp_path) == git("rev-parse", "HEAD") + "-dirty"


def test_git_commit_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert records.git_commit(tmp_path) == records.UNKNOWN_COMMIT


def test_versions():
    found = records.versions("numpy")
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["blas"]


def test_results_announce_every_file_before_they_read_it(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (folder / "epochs.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n", encoding="utf-8")
    np.savez(folder / "arrays.npz", kernels=np.arange(4))
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"a": [1, 2]}).to_parquet(folder / "more.parquet")
    announced: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        if event == "pixgrad.read":
            announced.append(arguments[0])

    sys.addaudithook(hook)
    loaded = results.load("demo", tmp_path)
    expected = {str(path) for path in folder.iterdir()}
    assert set(announced) == expected
    assert loaded.record.runs[0].name == "a-1"
    assert loaded.tables["epochs"]["loss"].tolist() == [0.5, 0.25]
    assert loaded.tables["more"]["a"].tolist() == [1, 2]
    assert loaded.arrays["kernels"].tolist() == [0, 1, 2, 3]


def test_missing_results_say_how_to_get_them(tmp_path):
    with pytest.raises(PixgradError, match="выполните pixgrad run demo"):
        results.load("demo", tmp_path)


def test_arrays_with_pickles_are_refused(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    np.savez(folder / "arrays.npz", bad=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SourceError, match="allow_pickle"):
        results.load("demo", tmp_path)


def test_all_records_by_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps(RECORD), "utf-8")
    (tmp_path / "no-record").mkdir()
    assert list(results.recorded(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b"\xff\xfe\x00"),
        ("t.parquet", b"x"),
        ("arrays.npz", b"x"),
        ("arrays.npz", b""),
    ],
)
def test_a_damaged_file_of_results_is_named(tmp_path, name, content):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "record.json").write_text(json.dumps(RECORD))
    results.load("demo", tmp_path)
    (tmp_path / "demo" / name).write_bytes(content)
    with pytest.raises(SourceError, match=f"{name}: повреждено") as caught:
        results.load("demo", tmp_path)
    assert "\n" not in str(caught.value)
