"""Gradients, skip connections and optimisers: assignments 000 and 002."""

import numpy as np
import pandas as pd

from pixgrad import results
from pixgrad.claims.judging import CONFIRMED, REFINED, REFUTED, Finding, claim, judged
from pixgrad.plots import text
from pixgrad.plots.gradients import chosen, log_ratios
from pixgrad.results.statistics import STREAMS, Interval, contrast, paired_student, verdict, welch
from pixgrad.sift.derivatives.kinks import kinks


@claim(
    "C1",
    "000",
    "в простой свёрточной сети градиенты затухают сильнее, чем в ResNet",
    "@fig-start-grid, @tbl-early-late, @tbl-cnn-early-late",
    "untrained",
    "cnn_vs_resnet",
)
def fading() -> Finding:
    start = results.load("untrained").tables["start"]
    cases = {
        "без нормализации, веса PyTorch": {"batch_norm": False, "init": "default"},
        "без нормализации, веса Хе": {"batch_norm": False, "init": "he"},
        "с нормализацией": {"batch_norm": True, "init": "he"},
    }
    gaps, told = [], []
    for title, case in cases.items():
        plain, residual = (
            log_ratios(chosen(start, depth=56, skip=skip, activation="relu", **case))
            for skip in (False, True)
        )
        gaps.append(welch(residual, plain))
        told.append(f"{title} — {_ratio(plain)} у обычной и {_ratio(residual)} у остаточной")
    during = results.load("cnn_vs_resnet").tables["gradients"]
    during = during[during["epoch"] == during["epoch"].max()]
    twins = [log_ratios(chosen(during, network=name)) for name in ("resnet-20", "plain-20")]
    gaps.append(later := paired_student(*twins, shared=STREAMS))
    return Finding(
        judged(gaps),
        "градиент первой трети слоёв, делённый на последнюю, до обучения, 56 слоёв: "
        f"{'; '.join(told)}. "
        "В последней эпохе, 20 слоёв: у остаточной "
        + text.verdict(later, "больше", "от обычной не отличимо", "меньше")
        + f", отношение к обычной — {text.number(np.exp(later.estimate), 2)} "
        f"({text.interval(np.exp(later.low), np.exp(later.high), 2)})",
    )


@claim(
    "C2",
    "000",
    "ResNet учится лучше благодаря пропускным связям",
    "@tbl-degradation, @fig-prediction, @fig-half-angle",
    "depth",
)
def skips() -> Finding:
    gaps = {
        depth: paired_student(_loss(depth, False), _loss(depth, True), STREAMS)
        for depth in (20, 56)
    }
    told = "; ".join(f"{depth} слоёв — {text.plus_minus(gap, 3)}" for depth, gap in gaps.items())
    return Finding(
        judged(gaps.values()),
        "близнецы устроены одинаково, кроме связей, и скорость у каждого своя: потери на "
        f"обучении, обычная минус остаточная, {told}",
    )


@claim(
    "C3",
    "000",
    "через каждый этап SIFT можно провести обратное распространение",
    "@tbl-sb-cmp, @tbl-sb-kinks",
)
def sift_derivatives() -> Finding:
    found = kinks()
    replaced = [kink.stage for kink in found if kink.surrogate is not None]
    return Finding(
        REFINED if replaced else CONFIRMED,
        f"производные совпали с autograd и конечными разностями; но из {len(found)} особых мест в "
        f"{len(replaced)} истинная производная "
        f"бесполезна и нужна замена ({', '.join(dict.fromkeys(replaced))})",
    )


@claim(
    "C4",
    "002",
    "по результатам сложно судить, Adam или AdaMax лучше (ResNet-50, Stanford Cars)",
    "@tbl-car-difference, @fig-car-seeds",
    "adam_vs_adamax",
)
def optimisers() -> Finding:
    table = results.load("adam_vs_adamax").tables["comparison"]
    row = table.set_index(["metric", "of", "over"]).loc[("macro_f1", "difference", "seeds")]
    unseen = row["low"] <= 0 <= row["high"]
    return Finding(
        CONFIRMED if unseen else REFUTED,
        f"разность макро-F1, Adam минус AdaMax, {text.number(row['estimate'], 3)} (от "
        f"{text.number(row['low'], 3)} до {text.number(row['high'], 3)}); "
        f"заметить можно было разность от {text.number(row['detectable'], 3)}",
    )


@claim(
    "C5",
    "002",
    "пропускные связи сняли предел глубины",
    "@tbl-degradation, @fig-degradation",
    "depth",
)
def barrier() -> Finding:
    deeper = {skip: welch(_loss(56, skip), _loss(20, skip)) for skip in (False, True)}
    spared = contrast([_loss(56, False), _loss(20, True)], [_loss(20, False), _loss(56, True)])
    gained = verdict(deeper[True]) == "opposite"
    moved = verdict(spared) == "holds"
    return Finding(
        CONFIRMED if moved and gained else REFINED if moved else REFUTED,
        "потери на обучении, 56 слоёв минус 20: у обычных "
        f"{text.plus_minus(deeper[False], 3)}, у остаточных {text.plus_minus(deeper[True], 3)}"
        + ("" if gained else "; выигрыша от глубины за такое обучение не видно"),
    )


@claim(
    "C19",
    "002",
    "сеть на NumPy медленнее библиотечной (так ждут; задание лишь просит сравнить)",
    "@tbl-numpy-speed",
    "speed",
)
def numpy_speed() -> Finding:
    table = results.load("speed").tables["summary"]
    row = chosen(table, network="lenet", implementation="numpy", part="total").iloc[0]
    slower = Interval(*(row[of] - 1 for of in ("ratio", "ratio_low", "ratio_high")))
    return Finding(
        judged([slower]),
        f"шаг обучения LeNet на NumPy занял {text.number(row['ratio'], 2)} времени PyTorch "
        f"(квартили {text.interval(row['ratio_low'], row['ratio_high'], 2)}), один поток: "
        + text.verdict(slower, "медленнее", "разницы не видно", "быстрее"),
    )


def _loss(depth: int, skip: bool) -> pd.Series:
    """Training loss after training, by seed."""
    runs = results.load("depth").tables["summary"]
    return chosen(runs, depth=depth, skip=skip).set_index("seed")["train_loss"]


def _ratio(logs: pd.Series) -> str:
    value = float(np.exp(logs.mean()))
    digits = 2 if value < 10 else 0
    return text.number(value, digits) if 0.01 <= value < 1000 else text.power(value, 0)
