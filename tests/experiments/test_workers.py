"""Where the runs go: processes of this machine, a Dask cluster, torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_experiment import HERE, published

from pixgrad import results
from pixgrad.errors import PixgradError
from pixgrad.experiments.running import workers
from pixgrad.experiments.running.running import run


def test_one_thread_and_then_as_many_as_before():
    from threadpoolctl import threadpool_info

    def threads() -> tuple[int, set[int]]:
        blas = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
        return torch.get_num_threads(), set(blas)

    before, limit = torch.get_num_threads(), 3
    torch.set_num_threads(limit)
    try:
        outside = threads()
        with pytest.raises(ZeroDivisionError), workers.one_thread():
            assert threads() == (1, {1})
            raise ZeroDivisionError
        assert threads() == outside
    finally:
        torch.set_num_threads(before)


def test_workers_end_with_their_main_process(tmp_path):
    """SIGKILL of the main process: its workers stop at their next epoch."""
    script = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from tiny_digits import SHORT, digits, mnist\n"
        "from pixgrad.experiments.running.workers import Workers\n"
        "configs = [replace(SHORT, seed=s, epochs=100_000) for s in (1, 2)]\n"
        "Workers(2).train(mnist.EXPERIMENT, configs, digits(), Path(sys.argv[1]))\n"
    )
    main = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.DEVNULL)
    paths = [tmp_path / f"relu-{seed}.checkpoint" for seed in (1, 2)]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        assert main.poll() is None
        time.sleep(0.1)
    main.kill()
    main.wait()

    def written() -> list[int]:
        return [path.stat().st_mtime_ns for path in paths]

    before = None
    while written() != before:
        assert time.monotonic() < deadline
        before = written()
        time.sleep(3)  # an epoch takes a tenth of a second


@pytest.mark.slow
def test_local_processes_publish_the_same_bits(place):
    run("tiny")
    alone = published()
    run("tiny", fresh=True, jobs=2)
    assert published() == alone


def test_a_cluster_publishes_the_same_bits(place, monkeypatch):
    """Two workers of Dask that started in another folder; their runs are logged."""
    distributed = pytest.importorskip("distributed")
    event = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run("tiny")
    alone = published()
    monkeypatch.chdir("/")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        monkeypatch.chdir(place)
        address = cluster.scheduler_address
        run("tiny", fresh=True, backend="dask", address=address, tensorboard=True)
    assert published() == alone
    work = Path("runs/tiny/report-tiny1")
    names = ["resnet-8-1", "resnet-8-2", "resnet-8-lr0.05-101", "resnet-8-lr1e-06-101"]
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
        run("tiny", backend="dask", address=cluster.scheduler_address)


@pytest.mark.slow
def test_a_cluster_stops_the_runs_of_a_killed_client(tmp_path):
    distributed = pytest.importorskip("distributed")
    script = tmp_path / "client.py"
    script.write_text(
        f"{HERE}\n"
        "if __name__ == '__main__':\n"
        "    [config, *_] = tiny_experiment.EXPERIMENT.plan('smoke', 1)\n"
        "    from dataclasses import replace\n"
        "    from pixgrad.experiments.running.workers import Workers\n"
        "    configs = [replace(config, seed=seed, epochs=100_000) for seed in (1, 2)]\n"
        "    data = tiny_experiment.EXPERIMENT.load('tiny0')\n"
        "    place, address = Path(sys.argv[1]), sys.argv[2]\n"
        "    workers = Workers(1, 'dask', address)\n"
        "    workers.train(tiny_experiment.EXPERIMENT, configs, data, place)\n",
        encoding="utf-8",
    )
    names = [f"resnet-8-lr1e-06-{seed}.checkpoint" for seed in (1, 2)]

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
        "finished = run('tiny')\n"
        "import os\n"
        "Path(f'said{os.environ[\"RANK\"]}').write_text(str(finished and finished[0]))\n",
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
    monkeypatch.setattr(workers, "CONNECT_S", 0.2)
    with pytest.raises(PixgradError, match=message) as caught:
        run("tiny", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"fresh": True}, {"jobs": 2}])
def test_torchrun_takes_one_run_at_a_time(place, monkeypatch, options):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PixgradError, match="под torchrun все процессы заняты одним прогоном"):
        run("tiny", **options)
