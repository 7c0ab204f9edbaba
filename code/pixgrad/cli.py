"""The ``pixgrad`` command. Each command imports what it needs itself: the light ones start fast."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pixgrad.errors import PixgradError

app = typer.Typer(
    help="От пикселя до градиента: опыты и книга.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ProjectDir = Annotated[Path, typer.Option("--project", help="Папка книги Quarto.")]


@app.command()
def freeze(
    project: ProjectDir = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Только проверить: что устарело и из-за чего.")
    ] = False,
    accept_sources: Annotated[
        bool, typer.Option("--accept-sources", help="Разрешить смену источника данных.")
    ] = False,
    accept_versions: Annotated[
        bool, typer.Option("--accept-versions", help="Оставить сделанное другими версиями пакетов.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Сколько глав исполнять сразу.")] = 2,
    timeout: Annotated[
        int, typer.Option(min=0, help="Сколько секунд ждать одну ячейку; 0 — без предела.")
    ] = 600,
) -> None:
    """Исполнить изменившиеся главы и записать _freeze."""
    from pixgrad.book.executing import freeze as command

    command.freeze_book(
        project,
        check=check,
        accept_sources=accept_sources,
        jobs=jobs,
        timeout=timeout,
        versions=command.ACCEPT if accept_versions else command.EXECUTE,
    )


@app.command()
def render(
    page: Annotated[
        Path | None, typer.Argument(help="Файл .qmd вне книги, для --to gfm; иначе все отчёты.")
    ] = None,
    project: ProjectDir = Path(),
    engine: Annotated[str, typer.Option(help="auto, quarto или pandoc.")] = "auto",
    to: Annotated[
        str, typer.Option(help="Форматы через запятую: html, pdf, ipynb, gfm (страница GitHub).")
    ] = "html,pdf",
) -> None:
    """Собрать сайт, PDF и блокноты из _freeze в _book; отчёты — страницами для GitHub."""
    from pixgrad.book.rendering import render as command

    command.render_book(project, engine=engine, formats=to.split(","), page=page)


@app.command()
def preview(
    project: ProjectDir = Path(),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Порт; 0 — любой свободный.")] = 0,
) -> None:
    """Показать сайт на этой машине и обновлять его при каждой правке, до Ctrl+C."""
    from pixgrad.book.previewing import preview as command

    command.preview_book(project, port)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Папка книги Quarto.")] = Path(),
    remove: Annotated[bool, typer.Option("--remove", help="Вернуть всё, как было.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Только показать правки.")] = False,
) -> None:
    """Научить чужую книгу Quarto исполняться через pixgrad: шаг pre-render, файлы для git."""
    from pixgrad.book import adopting as command

    command.adopt(folder, remove, dry_run)


@app.command()
def notebooks(project: ProjectDir = Path()) -> None:
    """Записать главы как блокноты Colab в notebooks/."""
    from pixgrad.book.rendering import notebooks as command

    command.write_notebooks(project)


@app.command()
def check(project: ProjectDir = Path()) -> None:
    """Найти в книге то, о чём Quarto молчит."""
    from pixgrad.book.checking import check as command

    command.check_book(project)


@app.command()
def cover(
    path: Annotated[Path, typer.Option("--to", help="Куда записать.")] = Path("assets/cover.jpg"),
) -> None:
    """Нарисовать обложку книги."""
    from pixgrad.plots.cover import draw

    draw(path)
    typer.echo(f"Обложка: {path}")


@app.command()
def pictures() -> None:
    """Обновить картинки и измеренные числа в README: из results/ и собранной книги."""
    from pixgrad.plots.readme import draw

    draw(Path.cwd())


@app.command()
def doctor(project: ProjectDir = Path()) -> None:
    """Сказать, что установлено и что с этим можно сделать."""
    from pixgrad.book import doctor as command

    if not project.is_dir():
        raise PixgradError(f"папки {project} нет; --project — папка книги")
    command.report(project)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="Источник, например mnist.")]) -> None:
    """Скачать полный набор данных в папку данных (через torchvision)."""
    from pixgrad.data.fetch import fetch as command
    from pixgrad.dataroot import data_root

    command(name, data_root(Path.cwd()))


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="Опыт, или all — все по очереди.")],
    preset: Annotated[str, typer.Option(help="smoke, report или paper.")] = "report",
    data: Annotated[str | None, typer.Option(help="Источник данных вместо обычного.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Сколько зёрен.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Начать заново или продолжить начатое.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Сколько прогонов сразу (loky).")] = 1,
    backend: Annotated[
        str, typer.Option(help="Где идут прогоны: loky — здесь, dask — на кластере.")
    ] = "loky",
    address: Annotated[
        str | None, typer.Option(help="Планировщик Dask, например tcp://узел:8786.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Писать журнал TensorBoard рядом с прогонами.")
    ] = False,
) -> None:
    """Провести опыт: обучить, измерить, записать результаты."""
    from pixgrad import experiments
    from pixgrad.experiments.running import running

    options = {"fresh": fresh, "jobs": jobs, "backend": backend, "address": address}
    for one in experiments.names() if name == "all" else [name]:
        finished = running.run(one, preset, data, seeds, tensorboard=tensorboard, **options)
        if finished is None:
            continue
        folder, record = finished
        for trained in record.runs:
            typer.echo(f"{trained.name}: {_in_words(trained)}")
        typer.echo(f"Результаты: {folder}")


@app.command()
def status() -> None:
    """Сказать, какие результаты получены другим кодом или на других данных."""
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


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Папка в results/: опыт или опыт-набор.")],
    runs: Annotated[
        int, typer.Option(min=0, help="Сколько прогонов, через равные промежутки; 0 — все.")
    ] = 12,
) -> None:
    """Повторить первые шаги прогонов и сравнить потери с записью бит в бит."""
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


@app.command()
def reproduce(
    project: ProjectDir = Path(),
    experiments: Annotated[
        int,
        typer.Option(min=0, help="Ещё и сверить первые шаги стольких прогонов каждой записи."),
    ] = 0,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Какая разница чисел (доля величины) не в счёт.")
    ] = 0.0,
    report: Annotated[
        Path | None,
        typer.Option(help="Страница с разницами; иначе reproduction.md в папке книги."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Сколько глав исполнять сразу.")] = 2,
    timeout: Annotated[int, typer.Option(min=0, help="Секунд на ячейку; 0 — без предела.")] = 600,
) -> None:
    """Исполнить все главы заново в стороне и сравнить с тем, что лежит в _freeze."""
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
