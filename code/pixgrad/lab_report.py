"""The report of the laboratory work, for GitHub: ``reports/lab1/README.md`` and its pictures.

All numbers come from ``results/``; the prose is in ``lab_report.md.j2``. The same results give the
same bytes. A method is called the winner only where the paired interval of the difference over
seeds leaves zero out.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from pixgrad import files, results
from pixgrad.errors import PixgradError
from pixgrad.plots import networks, optimisers, style, text
from pixgrad.results import statistics

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FOLDER = Path("reports/lab1")
README = "README.md"
TEMPLATE = "lab_report.md.j2"
EXPERIMENTS = ("mnist", "adam_vs_adamax", "speed")
DPI = 100
NETWORKS = {"relu": "LeNet с ReLU", "sigmoid": "сеть с сигмоидой"}
COLORS = {"relu": style.BLUE, "sigmoid": style.VERMILION}
IMPLEMENTATIONS = {
    "numpy": "NumPy, наш код",
    "torch": "PyTorch",
    "torch-channels-last": "PyTorch, channels last",
    "torch-compile": "PyTorch, torch.compile",
    "torch-compile-channels-last": "PyTorch, torch.compile, channels last",
    "torch-foreach": "PyTorch, foreach",
    "torch-fused": "PyTorch, fused",
}
PARTS = {"forward": "прямой проход", "backward": "обратный", "step": "оптимизатор"}
ADVISED = {"adam": 1e-3, "adamax": 2e-3}
"""Learning rates that Kingma and Ba (2015) advise."""
GREY = "#8c939c"


@dataclass(frozen=True)
class Found:
    """Results of ``EXPERIMENTS``."""

    mnist: results.Results
    cars: results.Results
    speed: results.Results


def write(project: Path = Path()) -> Path:
    """Write the report of the results of a project.

    Returns
    -------
    The README.

    Raises
    ------
    PixgradError : results of an experiment are missing; the methods share fewer than two seeds.
    """
    contents = render(load(project))
    folder = project / FOLDER
    files.clean(folder)
    for name, raw in contents.items():
        files.write(folder / name, raw)
    return folder / README


def load(project: Path) -> Found:
    """Read the results of ``EXPERIMENTS``."""
    return Found(*(results.load(name, project / results.FOLDER) for name in EXPERIMENTS))


def render(found: Found) -> dict[str, bytes]:
    """Contents of all files by name, the README last."""
    pictures: dict[str, Callable[[], Figure]] = {
        "mnist.png": lambda: _draw_mnist(found.mnist),
        "rates.png": lambda: _draw_rates(found.cars),
        "curves.png": lambda: _draw_curves(found.cars),
        "speed.png": lambda: _draw_speed(found.speed),
    }
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    readme = environment.get_template(TEMPLATE).render(
        mnist=_about_mnist(found.mnist),
        cars=_about_cars(found.cars),
        speed=_about_speed(found.speed),
        conclusions=_conclusions(found),
    )
    with plt.style.context("pixgrad.plots.figures"):
        drawn = {name: _png(draw()) for name, draw in pictures.items()}
    return {**drawn, README: readme.encode()}


def _about_mnist(found: results.Results) -> dict[str, str]:
    settings = {run.config["network"]: run.config for run in found.record.runs}
    columns = {
        "train_accuracy": "обучение",
        "validation_accuracy": "проверка",
        "test_accuracy": "тест",
    }
    epochs = settings["relu"]["epochs"]
    return {
        "epochs": text.plural(epochs, "эпоха", "эпохи", "эпох"),
        "relu_images": _digits(settings["relu"]["train_images"]),
        "sigmoid_images": _digits(settings["sigmoid"]["train_images"]),
        "table": networks.run_table(found.tables["summary"], NETWORKS, columns).data,
        "time": _hours(found),
    }


def _about_cars(found: results.Results) -> dict[str, str]:
    summary, comparison, sweep = (found.tables[name] for name in ("summary", "comparison", "sweep"))
    main = _main_runs(found)
    settings, classes = main[0].config, found.arrays["names"].tolist()
    rates = summary.groupby("optimiser")["rate"].first()
    seeds = len({run.seed for run in main})
    side = settings["side"] or found.arrays["example_images"].shape[1]
    return {
        "network": _network(settings["network"]),
        "data": found.record.data,
        "classes": f"{text.plural(len(classes), 'класс', 'класса', 'классов')}: "
        + ", ".join(classes),
        "test_images": text.plural(
            len(found.arrays["labels"]), "фотография", "фотографии", "фотографий"
        ),
        "side": f"{side}×{side} пикселей",
        "rates": "; ".join(_rate(rate) for rate in sorted(sweep["rate"].unique())),
        "chosen": " и ".join(
            f"{_rate(rates[name])} ({word})" for name, word in optimisers.NAMES.items()
        ),
        "edge": _edge(sweep),
        "runs": text.plural(seeds, "сеть", "сети", "сетей"),
        "epochs": text.plural(settings["epochs"], "эпохе", "эпохи", "эпох"),
        "steps": text.plural(main[0].steps, "шаг", "шага", "шагов"),
        "batch": str(settings["batch_size"]),
        "convergence_table": _convergence_table(found),
        "convergence": _convergence(found),
        "test_table": optimisers.test_table(summary, comparison).data,
        "difference_table": optimisers.difference_table(comparison).data,
        "time": _hours(found),
    }


def _edge(sweep: pd.DataFrame) -> str:
    """Whose chosen rate is the first or the last of those that were tried."""
    edges = (sweep["rate"].min(), sweep["rate"].max())
    chosen = sweep[sweep["chosen"] & sweep["rate"].isin(edges)]["optimiser"]
    if chosen.empty:
        return ""
    names = " и ".join(optimisers.NAMES[name] for name in chosen)
    return f"Для {names} это край перебора: лучшая скорость может лежать за ним."


def _about_speed(found: results.Results) -> dict[str, object]:
    made = found.tables["implementations"]
    failed = made[made["status"] != "done"]
    compiled = [
        f"{text.number(row.compile_s)}{text.NBSP}с процессора "
        f"({_network(row.network)}, {IMPLEMENTATIONS[row.implementation]})"
        for row in made[made["compile_s"].notna()].itertuples()
    ]
    table = found.tables["optimisers"]
    return {
        "device": found.record.device,
        "differences": ", ".join(
            f"{_network(name)} — {text.power(of.max())}"
            for name, of in made.groupby("network", sort=False)["loss_difference"]
        ),
        "networks": [
            {
                "name": _network(name),
                "batch": rows["batch_size"].iloc[0],
                "table": _speed_table(found, name),
            }
            for name, rows in made.groupby("network", sort=False)
        ],
        "optimisers_network": _network(table["network"].iloc[0]),
        "optimisers_table": _optimisers_table(table),
        "compiled": ", ".join(compiled),
        "failed": [
            f"{_network(row.network)}, {IMPLEMENTATIONS[row.implementation]}: `{row.message}`"
            for row in failed.itertuples()
        ],
        "time": _hours(found),
    }


def _conclusions(found: Found) -> list[str]:
    tests = found.mnist.tables["summary"].groupby("network")["test_accuracy"]
    digits = " и ".join(
        f"{name} — {text.mean_interval(100 * tests.get_group(network), 2)}{text.NBSP}%"
        for network, name in NETWORKS.items()
    )
    summary, comparison = (found.cars.tables[name] for name in ("summary", "comparison"))
    scores = summary.groupby("optimiser")["test_macro_f1"]
    cars = " и ".join(
        f"{word} — {text.mean_interval(scores.get_group(name), 3)}"
        for name, word in optimisers.NAMES.items()
    )
    chance = text.number(comparison["chance"].max(), 2)
    about = _about_cars(found.cars)
    limits = (
        f"Сравнение методов относится к этим условиям: обучение с нуля, {about['side']}, "
        f"{about['steps']}, скорость выбрана по одному короткому запуску. {about['edge']}"
    )
    return [
        f"Сети на одном NumPy читают тестовые цифры: верных ответов {digits}.",
        f"{about['network']} с нуля на автомобилях: macro F1 на тесте {cars}; наугад {chance}.",
        *(_verdict(comparison, metric) for metric in optimisers.METRICS),
        about["convergence"],
        limits.rstrip(),
        *_speed_conclusions(found.speed),
    ]


def _verdict(comparison: pd.DataFrame, metric: str) -> str:
    """Who is better on the test by a measure: only if the paired interval leaves zero out."""
    name, scale, digits, unit = {
        "accuracy": ("доле верных ответов", 100, 1, f"{text.NBSP}п.{text.NBSP}п."),
        "macro_f1": ("macro F1", 1, 3, ""),
    }[metric]
    is_wanted = comparison["metric"].eq(metric) & comparison["over"].eq("seeds")
    (row,) = comparison[is_wanted].to_dict("records")
    estimate, low, high, detectable = (
        text.number(scale * row[column], digits)
        for column in ("estimate", "low", "high", "detectable")
    )
    measured = (
        f"Adam − AdaMax = {estimate}{unit}, 95-процентный интервал по зёрнам от {low} до {high}"
    )
    best = optimisers.winner(comparison, metric)
    if best is not None:
        return f"По {name} на тесте лучше {optimisers.NAMES[best]}: {measured}."
    return (
        f"По {name} на тесте разницы не видно: {measured}. Столько запусков с вероятностью "
        f"80{text.NBSP}% заметили бы разность {detectable}{unit} и больше."
    )


def _convergence_table(found: results.Results) -> str:
    """Losses at the beginning, a quarter, the middle and the end of the training."""
    pairs = {name: _by_epoch(found, name) for name in _LOSSES}
    last = len(pairs["running_loss"][0])
    chosen = sorted({1, max(1, round(last / 4)), max(1, round(last / 2)), last})
    rows = []
    for epoch in chosen:
        row = [str(epoch)]
        for adam, adamax in pairs.values():
            a, b = adam.loc[epoch], adamax.loc[epoch]
            gap = statistics.paired_student(a, b, ("weights", "batches"))
            row += [text.number(a.mean(), 3), text.number(b.mean(), 3)]
            row.append(
                f"{text.number(gap.estimate, 3)} (от {text.number(gap.low, 3)} "
                f"до {text.number(gap.high, 3)})"
            )
        rows.append(row)
    header = ["эпоха"]
    for word in _LOSSES.values():
        header += [f"{word}: Adam", "AdaMax", "разность"]
    return text.table(header, rows).data


_LOSSES = {"running_loss": "обучение", "validation_loss": "проверка"}


def _convergence(found: results.Results) -> str:
    """In how many epochs the paired interval of the losses leaves zero out, and for whom."""
    told = []
    for column, part in _LOSSES.items():
        adam, adamax = _by_epoch(found, column)
        better = dict.fromkeys(optimisers.NAMES, 0)
        for epoch in adam.index:
            pairs = adam.loc[epoch], adamax.loc[epoch]
            gap = statistics.paired_student(*pairs, ("weights", "batches"))
            better["adam"] += gap.high < 0
            better["adamax"] += gap.low > 0
        counts = [
            f"в {count} меньше у {optimisers.NAMES[name]}"
            for name, count in better.items()
            if count
        ]
        epochs = text.plural(len(adam), "эпохи", "эпох", "эпох")
        seen = f"разница видна в {sum(better.values())} из {epochs} ({', '.join(counts)})"
        none = f"разницы не видно ни в одной из {epochs}"
        told.append(f"{part} — {seen if counts else none}")
    return f"Потери по эпохам: {'; '.join(told)}."


def _by_epoch(found: results.Results, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A column of the main runs by epoch and seed, of Adam and of AdaMax; common seeds only."""
    epochs = found.tables["epochs"]
    main = epochs[epochs["stage"] == "main"]
    wide = main.pivot(index="epoch", columns=["optimiser", "seed"], values=column)
    adam, adamax = (wide[name].dropna(axis=1) for name in optimisers.NAMES)
    shared = adam.columns.intersection(adamax.columns)
    if len(shared) < 2:
        raise PixgradError(
            "отчёт лабораторной: сравнению Adam и AdaMax нужны два общих зерна; "
            "выполните pixgrad run adam_vs_adamax"
        )
    return adam[shared], adamax[shared]


def _speed_table(found: results.Results, network: str) -> str:
    summary, made = (found.tables[name] for name in ("summary", "implementations"))
    rates = made[made["network"] == network].set_index("implementation")["images_s"]
    mine = summary[summary["network"] == network]
    rows = []
    for name in mine["implementation"].unique():
        parts = mine[mine["implementation"] == name].set_index("part")
        if math.isnan(rates[name]):
            rows.append([IMPLEMENTATIONS[name], *["—"] * 6])
            continue
        times = [text.number(parts.loc[part, "ms"], 2) for part in (*PARTS, "total")]
        ratio = _ratio(parts.loc["total"])
        rows.append([IMPLEMENTATIONS[name], *times, text.number(rates[name]), ratio])
    header = ["реализация", *PARTS.values(), "весь шаг", "изобр./с", "к PyTorch"]
    return text.table(header, rows).data


def _optimisers_table(table: pd.DataFrame) -> str:
    rows = [
        [
            f"{optimisers.NAMES[row['optimiser']]}, {IMPLEMENTATIONS[row['implementation']]}",
            f"{text.number(row['ms'], 1)} ({text.interval(row['ms_low'], row['ms_high'], 1)})",
            _ratio(row),
        ]
        for _, row in table.iterrows()
    ]
    return text.table(["метод", "шаг, мс (квартили)", "к Adam из PyTorch"], rows).data


def _speed_conclusions(found: results.Results) -> list[str]:
    """The own network beside PyTorch, PyTorch's fastest way with each, AdaMax beside Adam."""
    whole = found.tables["summary"].query("part == 'total'").dropna(subset="ms")
    told = []
    for network, rows in whole.groupby("network", sort=False):
        name, by_kind = _network(network), rows.set_index("implementation")
        if "numpy" in by_kind.index:
            compared = _compared(by_kind.loc["numpy"], "PyTorch")
            told.append(f"Шаг обучения {name} на NumPy занимает {compared}.")
        theirs = by_kind.drop(index="numpy", errors="ignore")
        best = theirs.loc[theirs["ms"].idxmin()]
        beside = "" if best.name == "torch" else f": {_compared(best, 'обычный PyTorch')}"
        told.append(
            f"Из способов PyTorch быстрее всех делает шаг {name} "
            f"«{IMPLEMENTATIONS[best.name]}»{beside}."
        )
    table = found.tables["optimisers"].set_index(["optimiser", "implementation"])
    compared = _compared(table.loc[("adamax", "torch")], "шаг Adam")
    return [*told, f"Шаг самого AdaMax в PyTorch занимает {compared}."]


def _compared(row: pd.Series, other: str) -> str:
    """A ratio of times in words; no difference is claimed where the quartiles hold 1."""
    low, high = row["ratio_low"], row["ratio_high"]
    spread = f"(отношение {_ratio(row)})"
    if low <= 1 <= high:
        return f"столько же времени, сколько {other}, в пределах разброса {spread}"
    times = max(row["ratio"], 1 / row["ratio"])
    more = "больше" if row["ratio"] > 1 else "меньше"
    return (
        f"в {text.number(times, 1 if times >= 2 else 2)} раза {more} времени, чем {other} {spread}"
    )


def _ratio(row: pd.Series) -> str:
    if row["ratio_low"] == row["ratio"] == row["ratio_high"] == 1:
        return "1"
    quartiles = text.interval(row["ratio_low"], row["ratio_high"], 2)
    return f"{text.number(row['ratio'], 2)} ({quartiles})"


def _main_runs(found: results.Results) -> list:
    return [run for run in found.record.runs if run.config["stage"] == "main"]


def _network(name: str) -> str:
    """Name as it is written in prose: resnet-50 -> ResNet-50."""
    return name.replace("resnet", "ResNet").replace("lenet", "LeNet")


def _digits(count: int) -> str:
    return text.plural(count, "цифру", "цифры", "цифр")


def _rate(rate: float) -> str:
    return f"{rate:g}".replace(".", ",")


def _hours(found: results.Results) -> str:
    seconds = found.record.wall_s
    if seconds < 5400:
        return f"{text.number(math.ceil(seconds / 60))} мин"
    return f"{text.number(seconds / 3600, 1)} ч"


def _draw_mnist(found: results.Results) -> Figure:
    figure = Figure(figsize=(8, 3.1))
    losses, errors = figure.subplots(1, 2)
    epochs = found.tables["epochs"]
    for network, name in NETWORKS.items():
        mine = epochs[epochs["network"] == network].copy()
        for part, word, dash in (("validation", "проверка", "-"), ("train", "обучение", ":")):
            mine["error"] = 100 * (1 - mine[f"{part}_accuracy"])
            look = {"color": COLORS[network], "linestyle": dash, "label": f"{name}, {word}"}
            networks.epoch_band(losses, mine, f"{part}_loss", **look)
            networks.epoch_band(errors, mine, "error", **look)
    losses.set_yscale("log")
    losses.set_ylabel("функция потерь")
    errors.set_yscale("symlog", linthresh=0.1)
    errors.set_ylabel("доля ошибок, %")
    _legend_below(figure, errors, columns=2)
    return figure


def _draw_rates(found: results.Results) -> Figure:
    figure = Figure(figsize=(5.5, 3))
    axis = figure.subplots()
    optimisers.sensitivity(axis, found.tables["sweep"], "validation_loss", ADVISED)
    _scale_losses(axis)
    axis.set_ylabel("потери на проверке")
    axis.legend()
    return figure


def _draw_curves(found: results.Results) -> Figure:
    figure = Figure(figsize=(8, 3.3))
    axes = figure.subplots(1, 2)
    epochs = found.tables["epochs"]
    main = epochs[epochs["stage"] == "main"]
    for name, word in optimisers.NAMES.items():
        mine = main[main["optimiser"] == name]
        color, dash = optimisers.COLORS[name], optimisers.DASHES[name]
        for axis, value in zip(axes, ("loss", "macro_f1"), strict=True):
            for part, title, style_ in (
                ("validation", "проверка", dash),
                ("train", "обучение", ":"),
            ):
                label = f"{word}, {title}"
                networks.epoch_band(axis, mine, f"{part}_{value}", label, color, linestyle=style_)
    classes = len(found.arrays["names"])
    for axis, guessed, word in zip(
        axes, (math.log(classes), 1 / classes), ("функция потерь", "macro F1"), strict=True
    ):
        axis.axhline(guessed, color=GREY, linewidth=0.9)
        axis.set_ylabel(word)
    _scale_losses(axes[0])
    style.decimal_commas(axes[1])
    _legend_below(figure, axes[1])
    return figure


def _draw_speed(found: results.Results) -> Figure:
    summary = found.tables["summary"].dropna(subset="ms")
    found_networks = list(summary["network"].unique())
    figure = Figure(figsize=(8, 2.3 * len(found_networks)))
    axes = np.atleast_1d(figure.subplots(len(found_networks)))
    for axis, network in zip(axes, found_networks, strict=True):
        mine = summary[summary["network"] == network]
        order = list(mine["implementation"].unique())
        table = mine.pivot(index="implementation", columns="part", values="ms").loc[order]
        left = np.zeros(len(table))
        for part, word in PARTS.items():
            axis.barh([IMPLEMENTATIONS[name] for name in order], table[part], left=left, label=word)
            left += table[part].to_numpy()
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        axis.set_title(_network(network))
        axis.set_xlabel("мс процессора на шаг")
    style.decimal_commas(*axes)
    _legend_below(figure, axes[0])
    return figure


def _legend_below(figure: Figure, axis: Axes, columns: int = 4) -> None:
    """One legend under all axes, where it hides no curve."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def _scale_losses(axis: Axes) -> None:
    """Losses that differ many times on a logarithmic axis; numbers that are read at a glance."""
    low, high = axis.get_ylim()
    if low > 0 and high < 3 * low:
        style.decimal_commas(axis)
        return
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50) if low <= tick <= high]
    axis.set_yticks(ticks, [_rate(tick) for tick in ticks])
    axis.set_yticks([], minor=True)


def _png(figure: Figure) -> bytes:
    """Without the name and version of the program: the same figure gives the same bytes."""
    from PIL import Image

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    with Image.open(drawn) as image:  # 128 colours are enough for lines and bars
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
            packed, "PNG", optimize=True
        )
    return packed.getvalue()
