"""``pixgrad run``: make or continue the runs of an experiment and publish their results."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from pixgrad import experiments, files
from pixgrad.backprop.containers import write_npz
from pixgrad.data import find
from pixgrad.errors import PixgradError
from pixgrad.experiments.running.experiment import Data, Experiment, Findings, Outcome
from pixgrad.experiments.running.workers import THREADS, Workers, process
from pixgrad.results import FOLDER, RECORD, records

RUNS = Path("runs")
LONG = 200
"""Rows of a table that is written as Parquet, in float32, and not as CSV."""


def run(
    name: str,
    preset: str = "report",
    data: str | None = None,
    seeds: int | None = None,
    fresh: bool = False,
    jobs: int = 1,
    backend: Literal["loky", "dask"] = "loky",
    address: str | None = None,
    tensorboard: bool = False,
) -> tuple[Path, records.Record] | None:
    """Make or continue the runs of an experiment and publish their results.

    Parameters
    ----------
    preset : "smoke" publishes into ``runs/``, the others into ``results/`` (see
        :func:`results_name`).
    data : source; the experiment's own by default.
    seeds : how many, instead of the preset's number.
    fresh : forget unfinished runs.
    jobs : independent runs at a time with "loky"; on a cluster, one a worker.
    backend, address : "dask" sends the runs to the workers of the scheduler at ``address``, such as
        ``tcp://host:8786``. They start in a folder that this process sees at the same path, since
        checkpoints are files, with one thread each: ``dask worker tcp://… --nthreads 1``.
    tensorboard : log every run into the folder ``tensorboard`` beside the checkpoints.

    Returns
    -------
    Folder of the results and their record. Under torchrun the first process publishes, and the
    others get None.
    """
    chosen, source, work, folder = _chosen(name, preset, data)
    if tensorboard and not chosen.writes_logs:
        raise PixgradError(f"опыт {name} не пишет журнал TensorBoard; уберите --tensorboard")
    workers = Workers(jobs, backend, address, tensorboard)
    workers.check(fresh)
    digest = records.code_digest(chosen.module)
    try:
        _prepare(work, folder, digest, fresh)
        images = chosen.load(source)
        outcomes = workers.train(chosen, chosen.plan(preset, seeds), images, work)
        later = chosen.follow_up(preset, seeds, outcomes)
        if later:
            outcomes += workers.train(chosen, later, images, work)
        if process() > 0:
            return None
        origin = {"experiment": name, "preset": preset, "data": source, "code_digest": digest}
        return folder, _publish(chosen, outcomes, images, folder, origin)
    except OSError as error:
        raise PixgradError(
            f"опыт {name}: {error}; законченные эпохи и прежние результаты целы"
        ) from error


def plan(
    name: str, preset: str = "report", data: str | None = None, seeds: int | None = None
) -> list[str]:
    """What :func:`run` would do, in lines for the reader; nothing is read but names."""
    chosen, source, work, folder = _chosen(name, preset, data)
    configs = chosen.plan(preset, seeds)
    begun = [one for one in configs if (work / f"{one.name}.checkpoint").exists()]
    told = [
        f"{name}: набор {preset}, данные «{source}», {_found(source)}",
        f"прогонов {len(configs)}, эпох {sum(one.epochs for one in configs)}"
        + ("; потом прогоны, которые зависят от их исхода" if _goes_on(chosen) else ""),
    ]
    marker = work / "code_digest"
    if marker.is_file() and marker.read_text("utf-8") != records.code_digest(chosen.module):
        told.append(f"{work}: начато другим кодом и не продолжится без --fresh")
    elif begun:
        told.append(
            f"{work}: уже есть {len(begun)}; законченные не повторятся, начатые продолжатся"
        )
    return [*told, f"результаты: {folder}" + (" (прежние заменят)" if folder.is_dir() else "")]


def _chosen(name: str, preset: str, data: str | None) -> tuple[Experiment, str, Path, Path]:
    """The experiment, its data, where its runs are kept and where the results go."""
    chosen = experiments.experiment(name)
    if preset not in chosen.sources:
        raise PixgradError(f"нет набора «{preset}»; есть: {', '.join(chosen.sources)}")
    source = data or chosen.sources[preset]
    work = RUNS / name / f"{preset}-{_in_file_name(source)}"
    published = Path(FOLDER) / results_name(name, preset, source)
    return chosen, source, work, work / FOLDER if preset == "smoke" else published


def _found(source: str) -> str:
    """Where the data would come from, or what is missing."""
    try:
        return f"откуда: {' и '.join(find(one).origin for one in source.split('+'))}"
    except PixgradError as error:
        return str(error)


def _goes_on(chosen: Experiment) -> bool:
    return type(chosen).follow_up is not Experiment.follow_up


def results_name(name: str, preset: str, source: str) -> str:
    """The folder in ``results/``: so named that no preset or source replaces another's results.

    The experiment's name alone stands for the preset "report" on its usual data.
    """
    parts = [name] if preset == "report" else [name, preset]
    if source != experiments.experiment(name).sources[preset]:
        parts.append(_in_file_name(source))
    return "-".join(parts)


def _in_file_name(source: str) -> str:
    return source.replace(":", "_").replace("/", "_")


def _prepare(work: Path, folder: Path, digest: str, fresh: bool) -> None:
    """Put right what a kill has left; unfinished runs go on only with the code that began them."""
    marker = work / "code_digest"
    if fresh:
        files.remove_folder(work)
    elif marker.is_file() and marker.read_text(encoding="utf-8") != digest:
        raise PixgradError(
            f"{work}: прогоны начаты другим кодом и не продолжаются; начните заново с --fresh"
        )
    files.clean(work, work.parent)
    files.write(marker, digest)
    if folder.parent.is_dir():
        with files.lock(folder.parent, wait=True):
            files.recover(folder)


def _publish(
    chosen: Experiment, outcomes: Sequence[Outcome], data: Data, final: Path, origin: dict
) -> records.Record:
    """Replace the folder of the results by new ones, all or nothing."""
    findings = chosen.findings(outcomes, data)
    record = records.Record(
        **origin,
        seeds=sorted({outcome.config.seed for outcome in outcomes}),
        data_fingerprint=data.fingerprints,
        git_commit=records.git_commit(),
        versions=records.versions(*chosen.libraries),
        device=records.device(),
        threads=THREADS,
        wall_s=round(sum(outcome.wall_s for outcome in outcomes), 1),
        runs=[_recorded(one, findings) for one in outcomes],
    )
    with files.replacing(final) as folder:
        for name, table in findings.tables.items():
            _write_table(folder / name, table)
        if findings.arrays:
            write_npz(folder / "arrays.npz", findings.arrays)
        files.write(folder / RECORD, record.model_dump_json(indent=1) + "\n")
    return record


def _recorded(outcome: Outcome, findings: Findings) -> records.Run:
    """A run of the record; measures that are not finite are left out."""
    metrics = findings.metrics.get(outcome.config.name, {})
    return records.Run(
        name=outcome.config.name,
        seed=outcome.config.seed,
        config=asdict(outcome.config),
        status=outcome.status,
        steps=outcome.steps,
        message=outcome.message,
        wall_s=round(outcome.wall_s, 1),
        cpu_s=round(outcome.cpu_s, 1),
        first_losses=outcome.first_losses,
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
    )


def _write_table(path: Path, table: pd.DataFrame) -> None:
    """A short table for the eye, a long one small."""
    if len(table) <= LONG:
        table.to_csv(path.with_suffix(".csv"), index=False)
    else:
        small = table.astype(dict.fromkeys(table.select_dtypes("float64"), "float32"))
        small.to_parquet(path.with_suffix(".parquet"), index=False)
