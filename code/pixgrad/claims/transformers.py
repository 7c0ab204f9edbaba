"""Vision Transformer: assignment 004."""

import torch

from pixgrad import results
from pixgrad.claims.judging import CONFIRMED, REFINED, REFUTED, Finding, claim, judged
from pixgrad.nets import skeleton
from pixgrad.nets.cost import multiply_adds
from pixgrad.plots import text
from pixgrad.plots.gradients import chosen
from pixgrad.results.statistics import contrast, paired_student, welch


@claim(
    "C12",
    "004",
    "патч 16×16 цветной фотографии — вектор из 256 чисел",
    "@fig-vit-patches, @sec-vit-patches",
)
def patches() -> Finding:
    kernel = next(p for p in skeleton("vit-b-16", 1000).parameters() if p.ndim == 4)
    length = kernel[0].numel()
    return Finding(
        CONFIRMED if length == 256 else REFUTED,
        f"первый слой ViT-B/16 берёт из патча {text.number(length)} чисел (16·16·3); 256 их у "
        "серой фотографии",
    )


@claim(
    "C15",
    "004",
    "ViT нужно больше данных, чем CNN",
    "@fig-vit-hunger, @tbl-vit-hunger, @tbl-vit-published",
    "vit_data",
)
def hunger() -> Finding:
    summary = results.load("vit_data").tables["summary"]
    plain = summary[~summary["shuffled"] & summary["positions"] & (summary["optimiser"] == "adamw")]
    plain = plain[plain["equal"] == "steps"].assign(right=100 * plain["test_accuracy"])
    leads = {
        share: welch(
            *(mine.loc[mine["network"] == name, "right"] for name in ("resnet-14", "vit-32px"))
        )
        for share, mine in plain.groupby("train_images")
    }
    told = ", ".join(
        f"{text.number(share)} — {text.plus_minus(gap, 1)}" for share, gap in leads.items()
    )
    few, whole = min(leads), max(leads)
    of = {key: mine["right"] for key, mine in plain.groupby(["network", "train_images"])}
    change = contrast(
        [of["resnet-14", whole], of["vit-32px", few]], [of["vit-32px", whole], of["resnet-14", few]]
    )
    grows = text.verdict(change, "увеличилась", "изменения не видно", "сократилась")
    return Finding(
        judged(leads.values()),
        f"ResNet-14 минус ViT, п. п., по числу изображений: {told}; "
        f"от {text.number(few)} до {text.number(whole)} разность: {grows} "
        f"({text.plus_minus(change, 1)})",
    )


@claim(
    "C35",
    "004",
    "ViT нужны положения патчей",
    "@sec-vit-positions, @tbl-vit-positions",
    "vit_data",
)
def positions() -> Finding:
    summary = results.load("vit_data").tables["summary"]
    whole = chosen(
        summary,
        network="vit-32px",
        train_images=summary["train_images"].max(),
        optimiser="adamw",
        shuffled=False,
    )
    whole = whole.set_index("seed")
    gap = paired_student(
        *(100 * whole.loc[whole["positions"] == use, "test_accuracy"] for use in (True, False)),
        shared=["weights", "batches", "augmentation"],
    )
    return Finding(judged([gap]), f"с положениями минус без них: {text.plus_minus(gap, 1)} п. п.")


@claim(
    "C36",
    "004",
    "ViT проще CNN, требует больше вычислений и лучше на больших данных",
    "@tbl-vit-parts, @fig-vit-cost, @tbl-vit-published",
)
def simpler_and_dearer() -> Finding:
    image = torch.zeros(1, 3, 224, 224, device="meta")
    vit, resnet = (
        multiply_adds(skeleton(name, 1000), image)[""] for name in ("vit-b-16", "resnet-50")
    )
    dearer = vit / resnet
    return Finding(
        REFINED if dearer > 1 else REFUTED,
        f"ViT-B/16 дороже ResNet-50 в {text.number(dearer, 1)} раза; «лучше на больших данных» — "
        "по таблице авторов, и только после предобучения на сотнях миллионов фотографий",
    )
