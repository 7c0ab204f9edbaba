"""Figures, tables and sentences on speed: from the experiment ``speed`` and from ``make bench``."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pixgrad.plots import optimisers, text
from pixgrad.results.benchmarks import Bench, Contender, Work

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
NETWORKS = {"lenet": "LeNet", "resnet-50": "ResNet-50"}


def step_bars(ax: Axes, summary: pd.DataFrame, network: str) -> None:
    """What a training step of a network is made of, a bar an implementation.

    Parameters
    ----------
    summary : a row a part of an implementation's step, ``ms`` of the processor.
    """
    mine = summary[summary["network"] == network].dropna(subset="ms")
    order = list(mine["implementation"].unique())
    times = mine.pivot(index="implementation", columns="part", values="ms").loc[order]
    left = np.zeros(len(times))
    for part, word in PARTS.items():
        ax.barh([IMPLEMENTATIONS[name] for name in order], times[part], left=left, label=word)
        left += times[part].to_numpy()
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set(title=NETWORKS[network], xlabel="мс процессора на шаг")


def step_table(summary: pd.DataFrame, made: pd.DataFrame, network: str):
    """A row an implementation: times of the parts, images in a second, the ratio to PyTorch.

    Parameters
    ----------
    summary, made : tables ``summary`` and ``implementations``.
    """
    rates = made[made["network"] == network].set_index("implementation")["images_s"]
    rows = []
    for name, parts in summary[summary["network"] == network].groupby("implementation", sort=False):
        parts = parts.set_index("part")
        cells = ["—"] * 6
        if parts["ms"].notna().all():
            cells = [text.number(parts.loc[part, "ms"], 2) for part in (*PARTS, "total")]
            cells += [text.number(rates[name]), ratio(parts.loc["total"])]
        rows.append([IMPLEMENTATIONS[name], *cells])
    header = ["реализация", *PARTS.values(), "весь шаг", "изобр./с", "к PyTorch"]
    return text.table(header, rows, widths=[5, -2, -2, -3, -2, -2, -4])


def optimiser_table(table: pd.DataFrame):
    """A row a method: the time of its step and the ratio to PyTorch's Adam."""
    rows = [
        [
            f"{optimisers.NAMES[row['optimiser']]}, {IMPLEMENTATIONS[row['implementation']]}",
            f"{text.number(row['ms'], 1)} ({text.interval(row['ms_low'], row['ms_high'], 1)})",
            ratio(row),
        ]
        for _, row in table.iterrows()
    ]
    return text.table(["метод", "шаг, мс (квартили)", "к Adam из PyTorch"], rows)


def verdicts(summary: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """The own network beside PyTorch, PyTorch's ways beside each other, AdaMax beside Adam.

    Parameters
    ----------
    summary, table : tables ``summary`` and ``optimisers``.
    """
    told = []
    whole = summary[summary["part"] == "total"].dropna(subset="ms")
    for network, rows in whole.groupby("network", sort=False):
        by_kind, name = rows.set_index("implementation"), NETWORKS[network]
        if "numpy" in by_kind.index:
            compared = _beside(by_kind.loc["numpy"], "на PyTorch")
            told.append(f"Шаг обучения {name} на NumPy занимает {compared}.")
        ways = by_kind.drop(index=["numpy", "torch"], errors="ignore")
        if len(ways):
            best = ways.loc[ways["ratio"].idxmin()]
            told.append(
                f"Быстрейший из остальных способов PyTorch для {name} — "
                f"«{IMPLEMENTATIONS[best.name]}»: шаг занимает {_beside(best, 'обычный')}."
            )
    adamax = table.set_index(["optimiser", "implementation"]).loc[("adamax", "torch")]
    return [*told, f"Сам AdaMax в PyTorch тратит на шаг {_beside(adamax, 'Adam')}."]


def bench_table(bench: Bench | None):
    """A row a comparison of ``make bench``: both times, the ratio, who is faster."""
    header = ["работа", "наше время", "другое", "отношение", "мы"]
    if bench is None:
        return text.table(header, [["ещё не измерено", *4 * ["—"]]])
    rows = [
        [
            work.name,
            f"{ours.name}: {_time(ours)}",
            f"{other.name}: {_time(other)}" + ("*" if other.quoted else ""),
            f"{text.number(middle, 2)} ({text.interval(low, high, 2)})",
            {True: "медленнее", False: "быстрее", None: "наравне"}[_is_slower(low, high)],
        ]
        for work, ours, other, (low, middle, high) in _comparisons(bench)
    ]
    return text.table(header, rows, widths=[5, -4, -4, -4, 3])


def bench_losses(bench: Bench) -> str:
    """Where ours is slower, in a sentence."""
    compared = list(_comparisons(bench))
    lost = [
        f"{ours.name} против {other.name} ({work.name})"
        for work, ours, other, (low, _, high) in compared
        if _is_slower(low, high)
    ]
    if not lost:
        return f"Медленнее других мы не оказались ни в одном сравнении из {len(compared)}."
    return f"Медленнее мы в {len(lost)} из {len(compared)} сравнений: {'; '.join(lost)}."


def _comparisons(bench: Bench) -> Iterator[tuple[Work, Contender, Contender, np.ndarray]]:
    for work in bench.works:
        for ours in (one for one in work.contenders if one.ours):
            for other in (one for one in work.contenders if not one.ours):
                yield work, ours, other, work.ratios(ours, other)


def _is_slower(low: float, high: float) -> bool | None:
    """A difference only where the quartiles, as printed, leave 1 out."""
    return None if round(low, 2) <= 1 <= round(high, 2) else bool(low > 1)


def _time(contender: Contender) -> str:
    """The median, or the range of what is quoted: ``45 мс``, ``9–11 с``."""
    seconds = contender.seconds
    ends = (min(seconds), max(seconds)) if contender.quoted else 2 * (float(np.median(seconds)),)
    scale, unit = (1, "с") if ends[0] >= 2 else (1000, "мс")
    digits = 1 if scale * ends[0] < 10 else 0
    return f"{text.interval(*(scale * end for end in ends), digits)}{text.NBSP}{unit}"


def ratio(row: pd.Series) -> str:
    """``0,62 (0,61–0,64)``: the median and the quartiles; 1 for what is compared with itself."""
    if row["ratio_low"] == row["ratio_high"] == 1:
        return "1"
    quartiles = text.interval(row["ratio_low"], row["ratio_high"], 2)
    return f"{text.number(row['ratio'], 2)} ({quartiles})"


def _beside(row: pd.Series, other: str) -> str:
    """A ratio of times in words: a difference only where the quartiles, as printed, leave 1 out."""
    quartiles = text.interval(row["ratio_low"], row["ratio_high"], 2)
    told = f"(отношение {text.number(row['ratio'], 2)}, квартили {quartiles})"
    if round(row["ratio_low"], 2) <= 1 <= round(row["ratio_high"], 2):
        return f"столько же времени, сколько {other}, в пределах разброса {told}"
    times = max(row["ratio"], 1 / row["ratio"])
    more = "больше" if row["ratio"] > 1 else "меньше"
    digits = 1 if times >= 2 else 2
    return f"в {text.number(times, digits)} раза {more} времени, чем {other} {told}"
