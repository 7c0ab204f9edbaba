"""Smaller and faster networks: assignment 004."""

import numpy as np
import pandas as pd

from pixgrad import results
from pixgrad.claims.judging import CONFIRMED, REFINED, REFUTED, Finding, claim, judged
from pixgrad.plots import text
from pixgrad.plots.gradients import chosen
from pixgrad.results.statistics import Interval, paired_bootstrap, student_interval

_NETS = {
    "squeezenet-1.1": "SqueezeNet 1.1",
    "mobilenet-v2": "MobileNetV2",
    "efficientnet-b0": "EfficientNet-B0",
}
_CALLED = {
    "operations": "два потока в каждой операции",
    "threads": "две сети в двух потоках",
    "processes": "две сети в двух процессах",
    "pipeline": "конвейер из двух этапов",
}


@claim(
    "C14",
    "004",
    "квантование, прореживание, дистилляция и разложенные свёртки ускоряют и сжимают почти без "
    "потерь",
    "@tbl-int8, @tbl-tuned, @tbl-latency-pairs",
    "compression",
    "compression_training",
    "latency",
)
def smaller() -> Finding:
    lost = _lost("int8")
    before = _right("float").mean()
    tuned = results.load("compression_training").tables["summary"]
    tuned = tuned[(tuned["network"] == "resnet-20") & (tuned["method"] != "scratch")]
    paid = [
        name
        for name, runs in tuned.groupby(["method", "level"])
        if student_interval(100 * (before - runs["test_accuracy"])).high < 1
    ]
    asked = tuned.groupby(["method", "level"]).ngroups
    faster = _time("float", "int8")
    good = 100 * lost.high < 1 and faster.high < 1
    return Finding(
        CONFIRMED if good and len(paid) == asked else REFINED if good or paid else REFUTED,
        f"ResNet-20: int8 теряет {text.number(100 * lost.estimate, 2)} п. п. (от "
        f"{text.number(100 * lost.low, 2)} до {text.number(100 * lost.high, 2)}) "
        f"и отвечает за {text.number(faster.estimate, 2)} времени ONNX Runtime; после дообучения "
        f"меньше пункта теряют {len(paid)} из {asked} способов",
    )


@claim(
    "C27",
    "004",
    "динамическое квантование, SqueezeNet, MobileNet и EfficientNet облегчают сеть",
    "@tbl-int8, @tbl-small-architectures, @tbl-latency-small",
    "compression",
    "latency",
)
def small_architectures() -> Finding:
    sizes = results.load("compression").tables["summary"].query("network == 'resnet-20'")
    sizes = sizes.groupby("method")["bytes"].mean()
    rows = results.load("latency").tables["latency"]
    rows = rows[(rows["side"] == 224) & (rows["way"] == "onnx") & (rows["batch_size"] == 1)]
    ratio = rows.set_index("network")["ms"] / rows.set_index("network")["ms"]["resnet-18"]
    quicker = [name for name in ratio.index if name != "resnet-18" and ratio[name] < 1]
    told = ", ".join(f"{name} {text.number(ratio[net], 2)}" for net, name in _NETS.items())
    share = sizes["int8-dynamic"] / sizes["onnx"]
    return Finding(
        CONFIRMED
        if share < 0.9 and len(quicker) == len(ratio) - 1
        else REFINED
        if quicker
        else REFUTED,
        f"время к ResNet-18 (ONNX Runtime, 224 пикселя): {told}; динамическое квантование "
        f"оставляет от файла ResNet-20 {text.percent(share)}: линейный слой у неё мал",
    )


@claim(
    "C28",
    "004",
    "пакетная нормализация и пулинг уменьшают вычисления",
    "@eq-fold, @tbl-latency, @tbl-pool-weights",
    "latency",
)
def folding() -> Finding:
    folded = _time("folded", "torch-channels-last", "torch")
    return Finding(
        REFINED if folded.high < 1 else REFUTED,
        "сама нормализация вычисления добавляет: сложенная в свёртку, она даёт те же ответы за "
        f"{text.number(folded.estimate, 2)} времени "
        f"({text.interval(folded.low, folded.high, 2)}); пулинг уменьшает карту, и следующая "
        "свёртка дешевле вчетверо",
    )


@claim("C29", "004", "компиляторы ускоряют сеть", "@tbl-latency, @sec-compilers", "latency")
def compilers() -> Finding:
    ways = {"torch.compile": "torch-compile", "ONNX Runtime": "onnx"}
    gains = {title: _time("float", way, "torch") for title, way in ways.items()}
    told = ", ".join(
        f"{title} {text.number(of.estimate, 2)} ({text.interval(of.low, of.high, 2)})"
        for title, of in gains.items()
    )
    return Finding(
        judged(Interval(1 - of.estimate, 1 - of.high, 1 - of.low) for of in gains.values()),
        f"время ResNet-20 к PyTorch (channels last), одно изображение: {told}",
    )


@claim(
    "C30",
    "004",
    "параллельное и асинхронное исполнение ускоряет",
    "@fig-workers, @eq-pipeline",
    "latency",
)
def workers() -> Finding:
    rows = results.load("latency").tables["workers"].query("batch_size == 64").set_index("way")
    gains = {way: _reach(rows.loc[way], "faster") for way in _CALLED}
    told = ", ".join(
        f"{_CALLED[way]} — в {text.number(of.estimate, 2)} раза" for way, of in gains.items()
    )
    return Finding(
        judged(Interval(*(np.array(of) - 1)) for of in gains.values()), f"пакетами по 64: {told}"
    )


def _right(method: str) -> np.ndarray:
    """Share of runs in which ResNet-20 answers right, for each image of the second half."""
    arrays = results.load("compression").arrays
    half = arrays["half"].astype(bool)
    names = [name for name in arrays if name.startswith(f"answer.resnet-20-{method}-0-")]
    return np.mean([(arrays[name] == arrays["labels"])[half] for name in names], axis=0)


def _lost(method: str) -> Interval:
    return paired_bootstrap(_right("float"), _right(method), np.random.default_rng(1))


def _time(variant: str, way: str, to: str = "onnx") -> Interval:
    """Time of ResNet-20 for one image over the peer's, with quartiles."""
    rows = results.load("latency").tables["latency"]
    row = chosen(rows, network="resnet-20", variant=variant, way=way, batch_size=1).iloc[0]
    return _reach(row, f"to_{to}")


def _reach(row: pd.Series, name: str) -> Interval:
    return Interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
