"""Convolution, pooling and receptive fields: assignments 003 and 004."""

import torch
from torch import nn

from pixgrad import results
from pixgrad.claims.judging import CONFIRMED, REFINED, REFUTED, Finding, claim, judged
from pixgrad.nets import build, receptive
from pixgrad.nets.cost import weights
from pixgrad.nets.downsampling import SmallCNN
from pixgrad.plots import text
from pixgrad.results.statistics import STREAMS, paired_student, welch


@claim(
    "C6",
    "003",
    "у слоя 3×3 из 64 каналов в 128 — 577 весов на ядро и 73 856 всего",
    "@tbl-conv-cost, @eq-conv-cost",
)
def layer_weights() -> Finding:
    layer = nn.Conv2d(64, 128, 3)
    one = layer.weight[0].numel() + 1
    return Finding(
        CONFIRMED if (one, weights(layer)) == (577, 73_856) else REFUTED,
        f"по формуле и в PyTorch {text.number(one)} и {text.number(weights(layer))}",
    )


@claim(
    "C10",
    "004",
    "пулинг даёт инвариантность к сдвигу и масштабу и лучше свёртки с шагом",
    "@tbl-pool-differences, @fig-pool-answers",
    "pooling",
)
def pooling() -> Finding:
    tables = results.load("pooling").tables
    shift, scale = (
        _twins(tables[name])
        .query(f"{column} != {usual}")
        .groupby(["network", "seed"])["same"]
        .mean()
        for name, column, usual in (("shifts", "shift", 0), ("scales", "side", 24))
    )
    right = _twins(tables["summary"]).set_index(["network", "seed"])["test_accuracy"]
    gaps = {
        word: paired_student(100 * of["max"], 100 * of["stride"], STREAMS)
        for word, of in (("при сдвиге", shift), ("при масштабе", scale), ("верных", right))
    }
    farthest = _twins(tables["shifts"]).query("shift == 8").groupby("network")["same"].mean()
    judgement = judged(gaps.values())
    said = {word: text.plus_minus(gap, 1) for word, gap in gaps.items()}
    return Finding(
        REFINED if judgement == CONFIRMED and farthest["max"] < 0.98 else judgement,
        f"пулинг минус шаг, п. п.: тот же ответ при сдвиге {said['при сдвиге']}, при масштабе "
        f"{said['при масштабе']}; верных ответов {said['верных']}; при сдвиге на восемь пикселей "
        f"тот же ответ с пулингом в {text.percent(farthest['max'])} случаев, инвариантности нет",
    )


@claim(
    "C11",
    "004",
    "свёртка применяется к каждому каналу независимо",
    "@fig-conv-colour, @fig-conv-colour-maps",
)
def channels() -> Finding:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 3, bias=False).double()
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    alone = [
        nn.functional.conv2d(image[:, [channel]], layer.weight[:, [channel]])
        for channel in range(3)
    ]
    summed = torch.allclose(layer(image), sum(alone))
    return Finding(
        REFUTED if summed else CONFIRMED,
        "ответ слоя равен сумме по каналам; независимо считает только поканальная свёртка",
    )


@claim(
    "C20",
    "004",
    "рецептивное поле считается по формуле",
    "@tbl-receptive, @tbl-receptive-checked, @fig-receptive-start",
)
def fields() -> Finding:
    torch.manual_seed(2)
    small = SmallCNN(10, "max", 4).double().eval()
    formula, seen = _field(small, small.features, side=32)
    bounds = torch.nonzero(seen.sum(1)).flatten()
    measured = int(bounds[-1] - bounds[0]) + 1
    deep = build("plain-20", 10, init="he").double().eval()
    layers = nn.Sequential(
        deep.conv1, deep.bn1, deep.activation, deep.layer1, deep.layer2, deep.layer3
    )
    size, spread = _field(deep, layers, side=97)
    share = receptive.effective_side(spread) / size
    return Finding(
        REFINED if measured == formula else REFUTED,
        f"по формуле {text.plural(formula, 'пиксель', 'пикселя', 'пикселей')}, по градиенту "
        f"{measured}; но до обучения в сети из 20 слоёв действует лишь середина: "
        f"эффективная сторона — около {text.percent(round(share, 1))} поля",
    )


@claim(
    "C23",
    "004",
    "свёртка инвариантна к сдвигу",
    "@tbl-conv-shift, @fig-conv-padding",
)
def shift() -> Finding:
    torch.manual_seed(0)
    image = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    moved = torch.roll(image, 1, dims=3)
    kernel = torch.randn(1, 1, 3, 3, dtype=torch.float64)
    plain, strided = (
        [nn.functional.conv2d(one, kernel, stride=stride) for one in (image, moved)]
        for stride in (1, 2)
    )
    same_place = torch.allclose(*plain)
    follows = torch.allclose(plain[0][..., :-1], plain[1][..., 1:])
    follows_strided = torch.allclose(strided[0][..., :-1], strided[1][..., 1:])
    return Finding(
        CONFIRMED if same_place else REFINED if follows else REFUTED,
        "выход на месте не стоит, а сдвигается вместе со входом: это эквивариантность; "
        + (
            "шаг 2 её сохраняет"
            if follows_strided
            else "шаг 2 сохраняет её лишь для чётных сдвигов"
        ),
    )


@claim(
    "C25",
    "004",
    "пулинг уменьшает число параметров и переобучение",
    "@tbl-pool-weights, @tbl-pool-gap",
    "pooling",
)
def pooling_overfitting() -> Finding:
    few = results.load("pooling").tables["summary"].query("train_images == 2000")
    gaps, counts = {}, {}
    for flat in (False, True):
        one, two = (
            few[(few["network"] == network) & (few["flat"] == flat)].set_index("seed")
            for network in ("none", "max")
        )
        gap = [100 * (of["train_accuracy"] - of["validation_accuracy"]) for of in (one, two)]
        gaps[flat] = welch(*gap) if flat else paired_student(*gap, STREAMS)
        counts[flat] = one["parameters"].iloc[0] / two["parameters"].iloc[0]
    return Finding(
        REFINED if counts[False] == 1 else judged(gaps.values()),
        f"весов без пулинга столько же, если карту усредняют, и в {text.number(counts[True])} раз "
        "больше, если линейный слой видит её всю; "
        f"разрыв, без пулинга минус с ним, {text.plus_minus(gaps[False], 1)} и "
        f"{text.plus_minus(gaps[True], 1)} п. п.",
    )


@claim(
    "C26",
    "004",
    "свёрточной сети нужно меньше параметров, чем полносвязной",
    "@fig-pool-sizes, @tbl-pool-mlp",
    "pooling",
)
def fewer_weights() -> Finding:
    many = results.load("pooling").tables["summary"].query("train_images == 10000")
    runs = dict(iter(many.groupby(["network", "width"])))
    accuracy = {key: 100 * of["test_accuracy"] for key, of in runs.items()}
    equal = welch(accuracy["max", 16], accuracy["mlp", 14])
    rivals = [key for key in runs if key[0] == "mlp"]
    best = max(rivals, key=lambda key: accuracy[key].mean())
    enough = [
        width for width in (2, 4, 16) if welch(accuracy["max", width], accuracy[best]).high >= 0
    ]
    ratio = [
        runs[best]["parameters"].iloc[0] / runs["max", width]["parameters"].iloc[0]
        for width in enough[:1]
    ]
    fewer = int(float(f"{ratio[0]:.2g}")) if ratio else 0
    return Finding(
        judged([equal]) if ratio else REFUTED,
        f"при равном числе весов свёртки точнее на {text.plus_minus(equal, 1)} п. п."
        + (
            "; лучшей сети без свёрток не уступает сеть, где весов меньше примерно в "
            f"{text.plural(fewer, 'раз', 'раза', 'раз')}"
            if ratio
            else ""
        ),
    )


def _twins(table):
    return table[(table["width"] == 16) & ~table["flat"] & (table["train_images"] == 10_000)]


def _field(net: nn.Module, features: nn.Module, side: int) -> tuple[int, torch.Tensor]:
    """The last map's field by formula, and where its middle cell has a gradient, on noise."""
    noise = torch.randn(3, 3, side, side, dtype=torch.float64)
    cell = features(noise[:1]).shape[-1] // 2
    return list(receptive.fields(net).values())[-1].size, receptive.gradient_field(
        features, noise, cell
    )
