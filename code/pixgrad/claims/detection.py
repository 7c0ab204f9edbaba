"""Detection and the settings of a small network: assignment 001."""

import pandas as pd

from pixgrad import data, results
from pixgrad.claims.judging import CONFIRMED, OPEN, REFINED, REFUTED, Finding, claim, judged
from pixgrad.nets.spinenet import CLASSIFIED, COCO
from pixgrad.plots import text
from pixgrad.results.statistics import Difference, paired_student, verdict, welch

START, BASE = "relu, dropout 0.12", "tanh, dropout 0.06"


@claim(
    "C16",
    "001",
    "tanh и вдвое меньший dropout лучше; пакет 64 вместо 128 хуже; другая последняя активация "
    "хуже; ядро поменьше с dropout 0,1 лучше",
    "@tbl-abl, @fig-abl-forest",
    "ablation",
)
def settings() -> Finding:
    said = {
        "tanh и dropout 0,06": (BASE, START, 1),
        "пакет 64": ("batch 64", BASE, -1),
        "сигмоида в конце": ("last sigmoid", BASE, -1),
        "ядро 2×2 и dropout 0,1": ("kernel 2, dropout 0.1", BASE, 1),
        "ядро 1×1 и dropout 0,1": ("kernel 1, dropout 0.1", BASE, 1),
    }
    gaps = {title: _gap("cifar10", one, other) for title, (one, other, _) in said.items()}
    held = [title for title, gap in gaps.items() if _agrees(gap, said[title][2])]
    told = ", ".join(f"{title} {text.plus_minus(gap, 1)}" for title, gap in gaps.items())
    return Finding(
        CONFIRMED if len(held) == len(said) else REFINED if held else REFUTED,
        f"разности, п. п.: {told}; как в отчёте, {len(held)} из {len(said)}",
    )


@claim(
    "C17",
    "001",
    "SpineNet производит на 60 % меньше вычислений, чем ResNet-FPN, и обходит её на 6 % AP",
    "@tbl-spinenet-ap, @tbl-spinenet-counts",
)
def spinenet() -> Finding:
    saved = [100 * (1 - new[1] / old[1]) for old, new in COCO.values()]
    gained = [new[2] - old[2] for old, new in COCO.values()]
    return Finding(
        CONFIRMED
        if min(saved) >= 60 and min(gained) >= 6
        else REFINED
        if min(gained) > 0
        else REFUTED,
        f"по таблице авторов экономия {text.interval(min(saved), max(saved))} %, выигрыш "
        f"{text.interval(min(gained), max(gained), 1)} пункта AP",
    )


@claim("C18", "001", "у MNIST два канала («чёрно-белый»)", "@sec-abl-mnist")
def mnist() -> Finding:
    images = data.load("mnist5k").images
    channels = 1 if images.ndim == 3 else images.shape[-1]
    return Finding(
        CONFIRMED if channels == 2 else REFUTED, f"каналов {channels}: яркость от 0 до 255"
    )


@claim("C24", "001", "на iNaturalist SpineNet лучше на 6 %", "@tbl-spinenet-inaturalist")
def inaturalist() -> Finding:
    gained = [new - old for _, (old, new) in CLASSIFIED.values()]
    return Finding(
        CONFIRMED if min(gained) >= 6 else REFINED if min(gained) > 0 else REFUTED,
        f"по таблице авторов — {text.interval(min(gained), max(gained), 1)} пункта над ResNet с "
        "тем же рецептом; здесь не измеряли",
    )


@claim(
    "C37",
    "001",
    "SpineNet теряет меньше сведений о месте; переменный масштаб стоит времени",
    "@tbl-spinenet-bccd, @tbl-spinenet-time",
    "spinenet_bccd",
    "inference",
)
def scales() -> Finding:
    table = results.load("spinenet_bccd").tables["summary"]
    better = welch(
        *(
            100 * table.loc[table["network"] == name, "test_map"]
            for name in ("spinenet-49", "resnet-50-fpn")
        )
    )
    timed = (
        results.load("inference")
        .tables["detectors"]
        .pivot(index="side", columns="called", values="ms")
    )
    slower = (timed["spinenet-49"] / timed["resnet-50-fpn"]).median()
    judgement = judged([better])
    return Finding(
        judgement if slower > 1 else REFINED if judgement == CONFIRMED else judgement,
        f"на BCCD SpineNet минус ResNet-FPN {text.plus_minus(better, 1)} пункта mAP@[0,5:0,95]; "
        f"время — {text.number(slower, 2)} времени ResNet-50-FPN при меньшем числе умножений",
    )


@claim(
    "C38",
    "001",
    "больше слоёв, эпох и подобранный dropout помогают на MNIST и CIFAR-100",
    "@tbl-abl-advice",
    "ablation",
)
def advice() -> Finding:
    changes = {"more layers": "слои", "more epochs": "эпохи", "dropout 0.25": "dropout 0,25"}
    gaps = {
        (task, change): _gap(task, change, "base")
        for task in ("mnist", "cifar100")
        for change in changes
        if change in _measured().loc[task].index.unique("change")
    }
    names = {"mnist": "MNIST", "cifar100": "CIFAR-100"}
    told = ", ".join(
        f"{names[task]}, {changes[change]} {text.plus_minus(gap, 2)}"
        for (task, change), gap in gaps.items()
    )
    return Finding(judged(gaps.values()), f"разности, п. п.: {told}")


@claim(
    "C39",
    "001",
    "для ImageNet помогают ансамбль и сеть в сети",
    "@tbl-abl-ensemble",
    "ablation",
)
def ensemble() -> Finding:
    table = results.load("ablation").tables["ensembles"].set_index("seed")
    gain = paired_student(100 * table["accuracy"], 100 * table["alone_accuracy"], ["weights"])
    inside = _gap("cifar10", "network in network", BASE)
    return Finding(
        judged([gain, inside]),
        f"на CIFAR-10 ансамбль трёх прибавляет {text.plus_minus(gain, 1)} п. п., сеть в сети "
        f"{text.plus_minus(inside, 1)}; ImageNet здесь не учили",
    )


@claim("C40", "001", "репозиторий ssd-tensorflow решает задачу обнаружения", "@sec-ssd-repository")
def repository() -> Finding:
    return Finding(
        OPEN,
        "ответвление ljanyst/ssd-tensorflow на TensorFlow 1 (GPL-3); по его README, mAP на VOC "
        "72–75. Чужой код здесь не запускали и не брали",
    )


def _measured() -> pd.DataFrame:
    return (
        results.load("ablation")
        .tables["summary"]
        .set_index(["task", "change", "seed"])
        .sort_index()
    )


def _gap(task: str, one: str, other: str) -> Difference:
    """Accuracy on the test, percentage points: paired by seed where the weights are shared."""
    a, b = (100 * _measured().loc[task, change]["test_accuracy"] for change in (one, other))
    if "kernel" in one or "layers" in one or "network" in one:
        return welch(a, b)
    common = sorted(set(a.index) & set(b.index))
    return paired_student(a[common], b[common], ["weights"])


def _agrees(gap: Difference, sign: int) -> bool:
    return verdict(gap) == ("holds" if sign > 0 else "opposite")
