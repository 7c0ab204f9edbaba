"""The ``pixgrad`` command. Each command imports what it needs itself: the light ones start fast.

What ``--help`` says is Russian; with ``PIXGRAD_LANG=en`` in the environment, English.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pixgrad.cli_help import argument, of_command, option
from pixgrad.errors import PixgradError, say

app = typer.Typer(
    help=say(
        "От пикселя до градиента: опыты и книга. «pixgrad КОМАНДА --help» — с примерами.",
        "From Pixel to Gradient: experiments and the book. “pixgrad COMMAND --help” has examples.",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ProjectDir = Annotated[
    Path, option("Папка книги Quarto.", "Folder of the Quarto book.", "--project")
]
DryRun = Annotated[
    bool, option("Только сказать, что будет сделано.", "Only say what would be done.", "--dry-run")
]
Jobs = Annotated[
    int, option("Сколько глав исполнять сразу.", "Chapters executed at a time.", min=1)
]
Timeout = Annotated[
    int, option("Секунд на ячейку; 0 — без предела.", "Seconds for a cell; 0 is no limit.", min=0)
]


@app.command(help=of_command("freeze"))
def freeze(
    project: ProjectDir = Path(),
    check: Annotated[
        bool,
        option(
            "Только проверить: что устарело и из-за чего.",
            "Only check: what is behind and why.",
            "--check",
        ),
    ] = False,
    accept_sources: Annotated[
        bool,
        option(
            "Разрешить смену источника данных.",
            "Let data come from another source.",
            "--accept-sources",
        ),
    ] = False,
    accept_versions: Annotated[
        bool,
        option(
            "Оставить сделанное другими версиями пакетов.",
            "Keep what other versions of packages made.",
            "--accept-versions",
        ),
    ] = False,
    jobs: Jobs = 2,
    timeout: Timeout = 600,
) -> None:
    from pixgrad.book.executing import freeze as command

    command.freeze_book(
        project,
        check=check,
        accept_sources=accept_sources,
        jobs=jobs,
        timeout=timeout,
        versions=command.ACCEPT if accept_versions else command.EXECUTE,
    )


@app.command(help=of_command("render"))
def render(
    page: Annotated[
        Path | None,
        argument(
            "Файл .qmd вне книги, для --to gfm; иначе все отчёты.",
            "A .qmd outside the book, for --to gfm; else all reports.",
        ),
    ] = None,
    project: ProjectDir = Path(),
    engine: Annotated[str, option("auto, quarto или pandoc.", "auto, quarto or pandoc.")] = "auto",
    to: Annotated[
        str,
        option(
            "Форматы через запятую: html, pdf, ipynb, gfm (страница GitHub).",
            "Formats with commas between: html, pdf, ipynb, gfm (a page for GitHub).",
        ),
    ] = "html,pdf",
    dry_run: DryRun = False,
) -> None:
    from pixgrad.book import render as command

    command.render_book(project, engine, to.split(","), page, dry_run)


@app.command(help=of_command("preview"))
def preview(
    project: ProjectDir = Path(),
    port: Annotated[
        int, option("Порт; 0 — любой свободный.", "Port; 0 is any free one.", min=0, max=65535)
    ] = 0,
) -> None:
    from pixgrad.book.previewing import preview as command

    command.preview_book(project, port)


@app.command(help=of_command("init"))
def init(
    folder: Annotated[Path, argument("Папка книги Quarto.", "Folder of the Quarto book.")] = Path(),
    remove: Annotated[
        bool, option("Вернуть всё, как было.", "Take everything back.", "--remove")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    from pixgrad.book import adopting as command

    command.adopt(folder, remove, dry_run)


@app.command(help=of_command("notebooks"))
def notebooks(project: ProjectDir = Path()) -> None:
    from pixgrad.book.rendering import notebooks as command

    command.write_notebooks(project)


@app.command(help=of_command("check"))
def check(project: ProjectDir = Path()) -> None:
    from pixgrad.book.checking import check as command

    command.check_book(project)


@app.command(help=of_command("cover"))
def cover(
    path: Annotated[Path, option("Куда записать.", "Where to write.", "--to")] = Path(
        "assets/cover.jpg"
    ),
) -> None:
    from pixgrad.plots.cover import draw

    draw(path)
    typer.echo(f"Обложка: {path}")


@app.command(help=of_command("pictures"))
def pictures() -> None:
    from pixgrad.plots.readme import draw

    draw(Path.cwd())


@app.command(help=of_command("doctor"))
def doctor(project: ProjectDir = Path()) -> None:
    from pixgrad.book import doctor as command

    if not project.is_dir():
        raise PixgradError(f"папки {project} нет; --project — папка книги")
    command.report(project)


@app.command(help=of_command("fetch"))
def fetch(
    name: Annotated[str, argument("Источник, например mnist.", "The source, such as mnist.")],
) -> None:
    from pixgrad.data.fetch import fetch as command
    from pixgrad.dataroot import data_root

    command(name, data_root(Path.cwd()))


@app.command(help=of_command("run"))
def run(
    name: Annotated[
        str, argument("Опыт, или all — все по очереди.", "The experiment, or all of them: all.")
    ],
    preset: Annotated[
        str, option("smoke, report или paper.", "smoke, report or paper.")
    ] = "report",
    data: Annotated[
        str | None,
        option("Источник данных вместо обычного.", "A data source instead of the usual one."),
    ] = None,
    seeds: Annotated[int | None, option("Сколько зёрен.", "How many seeds.", min=1)] = None,
    fresh: Annotated[
        bool,
        option("Начать заново или продолжить начатое.", "Start anew or go on.", "--fresh/--resume"),
    ] = False,
    jobs: Annotated[
        int, option("Сколько прогонов сразу (loky).", "Runs at a time (loky).", min=1)
    ] = 1,
    backend: Annotated[
        str,
        option(
            "Где идут прогоны: loky — здесь, dask — на кластере.",
            "Where runs go: loky is here, dask a cluster.",
        ),
    ] = "loky",
    address: Annotated[
        str | None,
        option(
            "Планировщик Dask, например tcp://узел:8786.",
            "Dask's scheduler, such as tcp://node:8786.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        option(
            "Писать журнал TensorBoard рядом с прогонами.",
            "Write a log for TensorBoard beside the runs.",
            "--tensorboard",
        ),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    from pixgrad import experiments
    from pixgrad.experiments.running import running

    options = {"fresh": fresh, "jobs": jobs, "backend": backend, "address": address}
    for one in experiments.names() if name == "all" else [name]:
        if dry_run:
            typer.echo("\n".join(running.plan(one, preset, data, seeds)))
            continue
        finished = running.run(one, preset, data, seeds, tensorboard=tensorboard, **options)
        if finished is None:
            continue
        folder, record = finished
        for trained in record.runs:
            typer.echo(f"{trained.name}: {_in_words(trained)}")
        typer.echo(f"Результаты: {folder}")


@app.command(help=of_command("status"))
def status() -> None:
    from pixgrad.experiments.running import checking

    found = checking.status()
    if not found:
        typer.echo("Результатов ещё нет: pixgrad run ИМЯ")
    for one in found:
        if one.record is None:
            typer.echo(one.damage)
            continue
        code = {
            True: "код тот же",
            False: f"код изменился (pixgrad verify {one.name})",
            None: f"опыта {one.record.experiment} в коде больше нет",
        }[one.same_code]
        words = {True: "данные те же", False: "данные другие", None: "данных нет, не сверить"}
        typer.echo(f"{one.name} ({one.record.preset}): {code}; {words[one.same_data]}")
    damaged = [one.name for one in found if one.record is None]
    if damaged:
        raise PixgradError(f"записи повреждены: {', '.join(damaged)}")


@app.command(help=of_command("verify"))
def verify(
    name: Annotated[
        str,
        argument(
            "Папка в results/: опыт или опыт-набор.",
            "Folder in results/: experiment or experiment-source.",
        ),
    ],
    runs: Annotated[
        int,
        option(
            "Сколько прогонов, через равные промежутки; 0 — все.",
            "How many runs, evenly spaced; 0 is all.",
            min=0,
        ),
    ] = 12,
) -> None:
    from pixgrad.experiments.running import checking
    from pixgrad.results import FOLDER, load_record

    replays = checking.verify(name, count=runs)
    for one in replays:
        typer.echo(f"{one.run.name}: {_compared(one)}")
    recorded = load_record(Path(FOLDER) / name).runs
    if len(replays) < len(recorded):
        typer.echo(f"Повторено прогонов: {len(replays)} из {len(recorded)} (все — с --runs 0)")
    if not all(one.passed for one in replays):
        raise PixgradError(f"результаты «{name}» не повторились")


@app.command(help=of_command("reproduce"))
def reproduce(
    project: ProjectDir = Path(),
    experiments: Annotated[
        int,
        option(
            "Ещё и сверить первые шаги стольких прогонов каждой записи.",
            "Replay the first steps of so many runs of each record, too.",
            min=0,
        ),
    ] = 0,
    tolerance: Annotated[
        float,
        option(
            "Какая разница чисел (доля величины) не в счёт.",
            "Which difference of numbers (a share of them) does not count.",
            min=0,
        ),
    ] = 0.0,
    report: Annotated[
        Path | None,
        option(
            "Страница с разницами; иначе reproduction.md в папке книги.",
            "The page of differences; else reproduction.md in the book.",
        ),
    ] = None,
    jobs: Jobs = 2,
    timeout: Timeout = 600,
) -> None:
    from pixgrad.book.executing import reproduce as command
    from pixgrad.files import write

    found = command.reproduce(project, jobs, timeout)
    for one in found:
        typer.echo(one.line(tolerance))
    report = report or project / "reproduction.md"
    write(report, command.report_page(found, tolerance))
    wrong = [one.chapter for one in found if not one.same(tolerance)]
    if experiments:
        from pixgrad import experiments as known
        from pixgrad import results
        from pixgrad.experiments.running import checking

        for name, record in results.recorded().items():
            if record.experiment not in known.names():
                typer.echo(f"{name}: опыта в коде больше нет, сверять нечем")
                continue
            replays = checking.verify(name, count=experiments)
            wrong += [name] if not all(one.passed for one in replays) else []
            for one in replays:
                typer.echo(f"{name}, {one.run.name}: {_compared(one)}")
    typer.echo(f"Подробно: {report}")
    if wrong:
        raise PixgradError(f"не повторилось: {', '.join(wrong)}")


def _compared(replay: Any) -> str:
    """A replayed run beside the recorded one in a line."""
    step = replay.first_difference
    if step is None:
        return f"все {len(replay.losses)} потерь совпали бит в бит"
    was, now = replay.run.first_losses[step], replay.losses[step]
    told = f"шаг {step + 1}: записано {was!r}, получено {now!r}"
    if replay.same_machine:
        return told
    return (
        f"{told}; процессор или библиотеки другие: первая потеря разошлась на "
        f"{replay.differences[0]:.0e} своей величины, первые {len(replay.differences)} — не больше "
        f"чем на {replay.differences.max():.0e}"
    )


def _in_words(run: Any) -> str:
    """A run of a record in one line."""
    if run.status == "diverged":
        return f"разошёлся на шаге {run.steps + 1}: {run.message}"
    return ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())


def main() -> None:
    """Run the command; what is not our mistake becomes one line on stderr and exit code 1."""
    try:
        app()
    except PixgradError as error:
        sys.exit(f"pixgrad: {error}")
    except OSError as error:
        sys.exit(f"pixgrad: система отказала: {error}")
