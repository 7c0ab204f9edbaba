"""Architectures and regularisation: assignments 003 and 004."""

import numpy as np
import pandas as pd
from torch import nn

from pixgrad import results
from pixgrad.claims.judging import CONFIRMED, REFINED, REFUTED, Finding, claim, judged
from pixgrad.nets import skeleton
from pixgrad.nets.cost import weights
from pixgrad.plots import text
from pixgrad.results.statistics import (
    STREAMS,
    bootstrap_interval,
    paired_bootstrap,
    paired_student,
    student_interval,
    verdict,
    welch,
)

MILLION = 1e6
CALLED = {
    "alexnet-2012": "AlexNet",
    "vgg-16": "VGG-16",
    "vgg-16-c": "VGG-16 (C)",
    "vgg-19": "VGG-19",
    "googlenet-2014": "GoogLeNet",
}


@claim(
    "C7",
    "003",
    "весов у AlexNet 60, у VGG-19 138, у GoogLeNet 5 миллионов",
    "@tbl-arch-numbers",
)
def counts() -> Finding:
    said = {"alexnet-2012": 60, "vgg-19": 138, "googlenet-2014": 5}
    found = {name: weights(skeleton(name, 1000)) / MILLION for name in (*said, "vgg-16")}
    right = [name for name, count in said.items() if abs(found[name] / count - 1) < 0.03]
    listed = ", ".join(f"{CALLED[name]} {text.number(count, 1)}" for name, count in found.items())
    return Finding(
        CONFIRMED if len(right) == len(said) else REFINED if right else REFUTED,
        f"миллионов весов: {listed}; в пределах 3 % верно названных — {len(right)} из {len(said)}",
    )


ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "сигмоида"}


@claim(
    "C8",
    "003",
    "пакетная нормализация ускоряет обучение; насыщенная активация пропускает градиент лишь около "
    "нуля",
    "@fig-arch-saturation, @tbl-arch-norm",
    "normalisation",
)
def normalisation() -> Finding:
    sweep = results.load("normalisation").tables["sweep"]
    loss = sweep["train_loss"].where(sweep["status"] == "done").fillna(np.log(10))
    sweep = sweep.assign(loss=loss)[sweep["chosen"]]
    gaps = {
        name: welch(*(mine.loc[mine["batch_norm"] == norm, "loss"] for norm in (False, True)))
        for name, mine in sweep.groupby("activation")
    }
    told = ", ".join(f"{ACTIVATIONS[name]} {text.plus_minus(gap, 2)}" for name, gap in gaps.items())
    return Finding(
        judged(gaps.values()),
        f"потери после короткого прогона, без нормализации минус с нею: {told}",
    )


@claim(
    "C9",
    "003",
    "усреднение ответов по пяти вырезам и отражениям помогает",
    "@tbl-arch-crops",
    "architecture_checks",
    "crops_black",
)
def crops() -> Finding:
    gaps = {
        "ResNet-20 на чёрной кромке": _gain("crops_black", "resnet-20"),
        "ResNet-56 на кромке среднего цвета": _gain("architecture_checks", "resnet-56"),
    }
    told = "; ".join(
        f"{name} {text.number(100 * gap.estimate, 2)} (от {text.number(100 * gap.low, 2)} до "
        f"{text.number(100 * gap.high, 2)})"
        for name, gap in gaps.items()
    )
    return Finding(judged(gaps.values()), f"десять вариантов минус один, п. п.: {told}")


@claim(
    "C13",
    "004",
    "dropout, L2, искажения, нормализация, ранняя остановка, сеть поменьше, перенос и размер "
    "пакета уменьшают переобучение",
    "@tbl-reg, @fig-reg-differences",
    "overfitting",
)
def regularisation() -> Finding:
    summary = results.load("overfitting").tables["summary"].set_index(["technique", "seed"])
    gap = 100 * (summary["train_accuracy"] - summary["validation_accuracy"])
    right = 100 * summary["test_accuracy"]
    names = gap.index.unique("technique")
    alone = [name for name in names if name != "none" and not name.startswith("changes,")]
    smaller, better = (
        [name for name in alone if verdict(_against_none(of, name, sign)) == "holds"]
        for of, sign in ((gap, -1), (right, 1))
    )
    return Finding(
        CONFIRMED if len(smaller) == len(alone) else REFINED if smaller else REFUTED,
        f"из {len(alone)} приёмов в одиночку разрыв сузили {len(smaller)}, точность на тесте "
        f"подняли {len(better)}",
    )


@claim(
    "C21",
    "003",
    "нормализация работает потому, что уменьшает внутренний сдвиг входов",
    "@tbl-arch-smoothness, @fig-arch-smoothness",
    "smoothness",
)
def internal_shift() -> Finding:
    tables = results.load("smoothness").tables
    along = tables["along"]
    measures = {
        "сдвиг по Сантуркару": tables["shifts"],
        "негладкость": along[along["size"] == along["size"].max()],
    }
    gaps = {
        (title, rate): welch(
            *(
                mine[mine["batch_norm"] == norm].groupby("seed")["gradient_change"].median()
                for norm in (False, True)
            )
        )
        for title, table in measures.items()
        for rate, mine in table.groupby("lr")
    }
    shifts = [gap for (title, _), gap in gaps.items() if title.startswith("сдвиг")]
    told = ", ".join(
        f"{title} {text.plus_minus(gap, 2)} при скорости {text.number(rate, 2)}"
        for (title, rate), gap in gaps.items()
    )
    return Finding(judged(shifts), f"без нормализации минус с нею: {told}")


@claim(
    "C22",
    "003",
    "VGG состоит из свёрток 1×1 и 3×3, а большинство весов — в полносвязных слоях",
    "@tbl-arch-numbers, @fig-arch-shares, @sec-arch-vgg",
)
def vgg() -> Finding:
    nets = {name: skeleton(name, 1000) for name in ("vgg-16", "vgg-16-c", "vgg-19")}
    small = {
        name: sum(
            isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) for layer in net.modules()
        )
        for name, net in nets.items()
    }
    linear = [layer for layer in nets["vgg-16"].modules() if isinstance(layer, nn.Linear)]
    share = sum(map(weights, linear)) / weights(nets["vgg-16"])
    return Finding(
        REFINED if small["vgg-16"] == 0 and share > 0.5 else CONFIRMED if share > 0.5 else REFUTED,
        f"свёрток 1×1: {', '.join(f'{CALLED[name]} — {count}' for name, count in small.items())}; "
        f"в полносвязных слоях VGG-16 {text.percent(share)} весов",
    )


@claim("C31", "003", "в конце достаточно одного линейного слоя", "@tbl-arch-heads", "heads")
def one_layer() -> Finding:
    summary = results.load("heads").tables["summary"]
    three, one = (
        100 * summary.loc[summary["network"] == name, "test_accuracy"] for name in ("three", "one")
    )
    gap = welch(three, one)
    return Finding(
        REFUTED if verdict(gap) == "holds" else CONFIRMED,
        f"три слоя минус один на готовых признаках: {text.plus_minus(gap, 1)} п. п.; заметили бы "
        f"{text.number(gap.detectable, 1)}",
    )


LEARNED = 11
"""Per cent of right answers: with fewer of ten classes, a network has learned nothing."""


@claim(
    "C32",
    "003",
    "вспомогательные головы помогают обучению",
    "@tbl-arch-auxiliary",
    "auxiliary",
)
def auxiliary() -> Finding:
    summary = results.load("auxiliary").tables["summary"]
    accuracy = summary.assign(right=100 * summary["test_accuracy"].fillna(0.1))
    gaps = {}
    for (norm, init), mine in accuracy.groupby(["batch_norm", "init"]):
        if mine["right"].max() < LEARNED:
            continue
        heads, none = (
            mine[mine["auxiliary"] == use].set_index("seed")["right"] for use in (True, False)
        )
        words = ("с нормализацией" if norm else "без неё", "Хе" if init == "he" else "PyTorch")
        gaps[", веса ".join(words)] = paired_student(heads, none, STREAMS)
    told = "; ".join(f"{name} {text.plus_minus(gap, 1)}" for name, gap in gaps.items())
    return Finding(
        judged(gaps.values()),
        f"с головами минус без них, п. п., где сеть чему-то научилась: {told}",
    )


@claim(
    "C33",
    "003",
    "нормализация по пакетам действует только при обучении",
    "@fig-arch-modes",
    "batch_modes",
)
def modes() -> Finding:
    found = results.load("batch_modes")
    names = found.tables["accuracy"].query("check == 'modes'")["what"].tolist()
    answers = found.arrays["answer.modes-resnet-20-0"]
    right = dict(zip(names, answers == found.arrays[f"labels.{answers.shape[1]}"], strict=True))
    lost = paired_bootstrap(right["evaluation"], right["training-1"], np.random.default_rng(1))
    whole = bootstrap_interval(right["evaluation"], np.random.default_rng(1))
    return Finding(
        REFINED if verdict(lost) == "holds" else REFUTED,
        "при ответе слой остаётся, но берёт накопленные средние "
        f"({text.percent(whole.estimate, 1)} верных); статистика пакета из одного изображения "
        f"отнимает {text.number(100 * lost.estimate, 1)} п. п.",
    )


@claim(
    "C34",
    "003",
    "сеть может пропустить блок, если он не помогает",
    "@fig-arch-blocks, @fig-arch-together",
    "architecture_checks",
)
def skipped_blocks() -> Finding:
    table = results.load("architecture_checks").tables["accuracy"]
    table = table[(table["check"] == "blocks") & table["trained_here"]]
    costs = {
        name: _block_cost(table[table["network"] == name]) for name in ("plain-20", "resnet-20")
    }
    gap = paired_student(costs["plain-20"], costs["resnet-20"], STREAMS)
    for_nothing = student_interval(-costs["resnet-20"])
    return Finding(
        judged([gap, for_nothing]),
        f"сеть ничего не пропускает сама; выключить один блок стоит "
        f"{text.number(costs['plain-20'].mean(), 1)} п. п. в обычной сети и "
        f"{text.number(costs['resnet-20'].mean(), 1)} в остаточной (разность "
        f"{text.plus_minus(gap, 1)})",
    )


def _gain(record: str, network: str):
    found = results.load(record)
    table = found.tables["accuracy"]
    mine = table[(table["check"] == "crops") & (table["network"] == network)]["what"].tolist()
    answers = found.arrays[f"answer.crops-{network}-0"]
    right = dict(zip(mine, answers == found.arrays[f"labels.{answers.shape[1]}"], strict=True))
    return paired_bootstrap(right["ten"], right["centre"], np.random.default_rng(1))


def _against_none(of: pd.Series, technique: str, sign: int):
    """The technique against none, in pairs by seed: they share weights or the order of images.

    Half of the channels share nothing.
    """
    one, none = sign * of.loc[technique], sign * of.loc["none"]
    if technique == "half the channels":
        return welch(one, none)
    return paired_student(one, none, ["weights"])


def _block_cost(table: pd.DataFrame) -> pd.Series:
    """Percentage points that one block switched off costs, the mean over blocks, by seed."""
    wide = table.pivot(index="seed", columns="what", values="accuracy")
    off = [what for what in wide if what.startswith("off-")]
    return 100 * (wide["all"] - wide[off].mean(axis=1))
