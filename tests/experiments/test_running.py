"""Running experiments: what follows what, where the runs go, what is refused, what is published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tiny_experiment
import tiny_training

from pixgrad import cli, experiments, results
from pixgrad.errors import PixgradError

HERE = f"""
import sys
from pathlib import Path
sys.path[:0] = {[str(Path(module.__file__).parent) for module in (tiny_experiment, tiny_training)]}
import tiny_experiment
from pixgrad import experiments
experiments.experiment = lambda name: tiny_experiment
"""
"""First lines of a process that knows the tiny experiment."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty project whose every experiment is the tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "experiment", lambda name: tiny_experiment)
    return tmp_path


def pixgrad(monkeypatch, *arguments: str) -> str | int | None:
    """The command's exit code, or its one line."""
    monkeypatch.setattr(sys, "argv", ["pixgrad", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def published() -> dict[str, object]:
    """Tables of the results, and the record without its commit and the time that it took."""
    files = {path.name: path.read_bytes() for path in Path("results/tiny").iterdir()}
    record = json.loads(files["record.json"])
    for part in (record, *record["runs"]):
        for name in ("wall_s", "cpu_s", "git_commit"):
            part.pop(name, None)
    return files | {"record.json": record}


def test_each_preset_has_its_source_and_the_user_the_last_word(place, monkeypatch, capsys):
    assert experiments.run("tiny", "smoke").record.data == "tiny0"
    assert experiments.run("tiny").record.data == "tiny1"
    finished = experiments.run("tiny", data="tiny2")
    assert (finished.record.data, finished.folder) == ("tiny2", Path("results/tiny-tiny2"))
    assert results.load("tiny").record.data == "tiny1"  # other data did not replace it
    assert [status.name for status in experiments.status()] == ["tiny", "tiny-tiny2"]
    assert not pixgrad(monkeypatch, "verify", "tiny-tiny2", "--runs", "1")
    fingerprints = {part: f"{part}2" for part in ("train", "validation", "test")}
    assert finished.record.data_fingerprint == fingerprints
    names = {path.name for path in Path("runs/tiny").iterdir()}
    assert names == {"smoke-tiny0", "report-tiny1", "report-tiny2"}


def test_later_runs_follow_from_the_earlier_ones(place):
    experiments.run("tiny")
    epochs = results.load("tiny").tables["epochs"]
    tried = epochs[epochs["stage"] == "sweep"].set_index("lr_max")["validation_loss"]
    best = tried.idxmin()
    record = results.load("tiny").record
    assert [run.name for run in record.runs] == [
        "sweep-1e-06-0",
        "sweep-0.05-0",
        f"main-{best:g}-1",
        f"main-{best:g}-2",
    ]
    assert record.seeds == [0, 1, 2]
    again = published()
    experiments.run("tiny", seeds=3)
    assert [run.seed for run in results.load("tiny").record.runs] == [0, 0, 1, 2, 3]
    experiments.run("tiny", seeds=2)  # all from checkpoints
    assert published() == again


def test_verify_replays_all_runs_or_some(place, monkeypatch, capsys):
    experiments.run("tiny", seeds=3)
    replays = experiments.verify("tiny")
    names = [replay.run.name for replay in replays]
    assert names == ["sweep-1e-06-0", "sweep-0.05-0", *(f"main-0.05-{seed}" for seed in (1, 2, 3))]
    assert all(len(one.losses) == 6 and one.first_difference is None for one in replays)
    capsys.readouterr()
    assert not pixgrad(monkeypatch, "verify", "tiny", "--runs", "2")
    assert capsys.readouterr().out.splitlines() == [
        *[f"{names[index]}: все 6 потерь совпали бит в бит" for index in (0, 3)],
        "Повторено прогонов: 2 из 5 (все — с --runs 0)",
    ]
    path = Path("results/tiny/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    losses = record["runs"][-1]["first_losses"]
    losses[2] = float(np.nextafter(losses[2], 9))
    path.write_text(json.dumps(record), encoding="utf-8")
    assert not pixgrad(monkeypatch, "verify", "tiny", "--runs", "2")
    assert "результаты «tiny» не повторились" in pixgrad(monkeypatch, "verify", "tiny")
    assert "main-0.05-3: шаг 3: записано" in capsys.readouterr().out


@pytest.mark.slow
def test_local_processes_publish_the_same_bits(place):
    experiments.run("tiny")
    alone = published()
    experiments.run("tiny", fresh=True, jobs=2)
    assert published() == alone


def test_a_cluster_publishes_the_same_bits(place, monkeypatch):
    """Two workers of Dask that started in another folder; their runs are logged."""
    distributed = pytest.importorskip("distributed")
    event = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    experiments.run("tiny")
    alone = published()
    monkeypatch.chdir("/")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        monkeypatch.chdir(place)
        address = cluster.scheduler_address
        experiments.run("tiny", fresh=True, backend="dask", address=address, tensorboard=True)
    assert published() == alone
    work = Path("runs/tiny/report-tiny1")
    names = ["main-0.05-1", "main-0.05-2", "sweep-0.05-0", "sweep-1e-06-0"]
    assert sorted(path.stem for path in work.glob("*.checkpoint")) == names
    assert sorted(path.name for path in (work / "tensorboard").iterdir()) == names
    written = event.EventAccumulator(str(work / "tensorboard" / names[0])).Reload()
    assert [scalar.step for scalar in written.Scalars("validation_loss")] == [1, 2]


def test_workers_with_several_threads_are_refused(place):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        pytest.raises(PixgradError, match=r"один поток: dask worker \S+ --nthreads 1"),
    ):
        experiments.run("tiny", backend="dask", address=cluster.scheduler_address)


@pytest.mark.slow
def test_a_cluster_stops_the_runs_of_a_killed_client(tmp_path):
    distributed = pytest.importorskip("distributed")
    script = tmp_path / "client.py"
    script.write_text(
        f"{HERE}\n"
        "if __name__ == '__main__':\n"
        "    [config, *_] = tiny_experiment.plan('smoke', 1)\n"
        "    from dataclasses import replace\n"
        "    configs = [replace(config, seed=seed, epochs=100_000) for seed in (1, 2)]\n"
        "    data = tiny_experiment.load_data('tiny0')\n"
        "    place, address = Path(sys.argv[1]), sys.argv[2]\n"
        "    experiments._train_all(tiny_experiment, configs, data, place, 1, address)\n",
        encoding="utf-8",
    )
    names = [f"sweep-1e-06-{seed}.checkpoint" for seed in (1, 2)]

    def written() -> list[int]:
        return [(tmp_path / name).stat().st_mtime_ns for name in names]

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        client = subprocess.Popen(
            [sys.executable, script, tmp_path, cluster.scheduler_address],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 300
        while not all((tmp_path / name).exists() for name in names):
            assert time.monotonic() < deadline
            assert client.poll() is None
            time.sleep(0.1)
        before = written()
        while any(old == new for old, new in zip(before, written(), strict=True)):
            assert time.monotonic() < deadline  # both are under way
            time.sleep(0.1)
        client.kill()
        client.wait()
        before = None
        while written() != before:
            assert time.monotonic() < deadline
            before = written()
            time.sleep(10)
        with distributed.Client(cluster.scheduler_address) as other:  # the workers live on
            assert other.submit(sum, [1, 2]).result(timeout=60) == 3
            assert not any(other.processing().values())


@pytest.mark.slow
def test_torchrun_publishes_once(tmp_path):
    script = tmp_path / "process.py"
    script.write_text(
        f"{HERE}\n"
        "finished = experiments.run('tiny')\n"
        "import os\n"
        "Path(f'said{os.environ[\"RANK\"]}').write_text(str(finished and finished.folder))\n",
        encoding="utf-8",
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    subprocess.run(
        [*torchrun, "--nproc-per-node", "2", script],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        timeout=600,
    )
    said = [(tmp_path / f"said{rank}").read_text(encoding="utf-8") for rank in (0, 1)]
    assert said == ["results/tiny", "None"]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["tiny"]
    record = results.load("tiny", tmp_path / "results").record
    assert [run.status for run in record.runs] == ["done"] * 4
    assert [run.steps for run in record.runs] == [6, 6, 12, 12]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "dask"}, "нужны оба: --backend dask --address"),
        ({"address": "tcp://host:8786"}, "нужны оба: --backend dask --address"),
        ({"backend": "ray"}, "нет способа «ray» раздать прогоны; есть: loky, dask"),
        (
            {"backend": "dask", "address": "tcp://127.0.0.1:1"},
            "нет планировщика Dask по адресу tcp://127.0.0.1:1",
        ),
        ({"backend": "dask", "address": "nowhere://x"}, "нет планировщика Dask по адресу nowhere"),
    ],
)
def test_places_that_cannot_take_runs(place, monkeypatch, options, message):
    monkeypatch.setattr(experiments, "CONNECT_S", 0.2)
    with pytest.raises(PixgradError, match=message) as caught:
        experiments.run("tiny", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"fresh": True}, {"jobs": 2}])
def test_torchrun_takes_one_run_at_a_time(place, monkeypatch, options):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PixgradError, match="под torchrun все процессы заняты одним прогоном"):
        experiments.run("tiny", **options)


def test_experiments_without_logs_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PixgradError, match="опыт mnist не пишет журнал TensorBoard"):
        experiments.run("mnist", tensorboard=True)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_publishing_leaves_the_old_results(place, monkeypatch):
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    experiments.run("tiny")
    before = published()
    write = Path.write_bytes

    def write_to_full_disk(path: Path, raw: bytes) -> int:
        return write(Path("/dev/full"), raw)

    monkeypatch.setattr(Path, "write_bytes", write_to_full_disk)
    with pytest.raises(PixgradError) as caught:
        experiments.run("tiny", data="tiny2")
    message = "опыт tiny: [Errno 28] No space left on device"
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert published() == before
    assert [path.name for path in Path("results").iterdir()] == ["tiny"]


def test_a_run_that_cannot_go_on_leaves_results_and_checkpoints(place):
    experiments.run("tiny")
    before = published()
    path = Path("runs/tiny/report-tiny1/main-0.05-2.checkpoint")
    path.write_bytes(b"broken")
    with pytest.raises(
        PixgradError, match=r"main-0.05-2.checkpoint: контрольная точка не читается"
    ):
        experiments.run("tiny")
    assert published() == before
    path.unlink()
    experiments.run("tiny")
    assert published() == before


def test_the_command_hands_its_options_over(place, monkeypatch, capsys):
    given = []

    def run(*arguments, **options):
        given.append((arguments, options))

    monkeypatch.setattr(experiments, "run", run)
    arguments = ["--backend", "dask", "--address", "tcp://x:1", "--tensorboard", "--jobs", "3"]
    assert not pixgrad(monkeypatch, "run", "tiny", "--seeds", "2", *arguments)
    expected = {"fresh": False, "jobs": 3, "backend": "dask", "address": "tcp://x:1"}
    assert given == [(("tiny", "report", None, 2), {"tensorboard": True} | expected)]
    assert capsys.readouterr().out == ""  # a process of torchrun that does not publish


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_keeps_the_protocol(name):
    module = experiments.experiment(name)
    assert {"smoke", "report"} <= set(module.PRESETS)
    assert isinstance(module.DATA, str) or set(module.DATA) == set(module.PRESETS)
    for preset in module.PRESETS:
        configs = module.plan(preset, None)
        assert len({config.name for config in configs}) == len(configs) > 0
        for config in configs:
            assert module.Config(**json.loads(json.dumps(asdict(config)))) == config
        assert {config.seed for config in module.plan(preset, 1)} <= {0, 1}
