"""Networks by name: ``build("resnet-20", num_classes=10)`` gives a torch module."""

import difflib
import inspect
from collections.abc import Iterable
from functools import partial

import torch
from torch import nn

from pixgrad.checks import whole
from pixgrad.errors import PixgradError, say
from pixgrad.nets import (
    alexnet,
    cifar,
    fpn,
    googlenet,
    imagenet,
    inception_bn,
    spinenet,
    vgg,
    vit,
)
from pixgrad.nets.initialisation import SCHEMES, initialise
from pixgrad.nets.layers import residual_blocks, weighted_layers
from pixgrad.nets.mobile import FireNet, MobileNet
from pixgrad.nets.simple import SimpleCNN
from pixgrad.nets.small import SmallCNN
from pixgrad.nets.ssd import SSD300

__all__ = ["build", "initialise", "names", "residual_blocks", "skeleton", "weighted_layers"]

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
NETS = {
    "simple-cnn": SimpleCNN,
    "small-cnn": SmallCNN,
    "fire-net": FireNet,
    "mobile-net": MobileNet,
    **{
        f"{kind}-{depth}": partial(cifar.CifarNet, depth=depth, skip=kind == "resnet")
        for kind in ("plain", "resnet")
        for depth in cifar.DEPTHS
    },
    "alexnet": alexnet.AlexNet,
    "alexnet-2012": partial(alexnet.AlexNet, branches=2),
    **{f"vgg-{kind}": partial(vgg.VGG, configuration=kind) for kind in vgg.STAGES},
    **{
        f"{name}{heads}": partial(kind, auxiliary=bool(heads), **options)
        for name, kind, options in (
            ("googlenet", googlenet.GoogLeNet, {}),
            ("googlenet-2014", googlenet.GoogLeNet, {"published": True}),
            ("googlenet-small", googlenet.SmallGoogLeNet, {}),
        )
        for heads in ("", "-auxiliary")
    },
    "inception-bn": inception_bn.InceptionBN,
    **{f"resnet-{depth}": partial(imagenet.ResNet, depth=depth) for depth in imagenet.STAGES},
    **{name: partial(vit.VisionTransformer, size=size) for name, size in vit.SIZES.items()},
    **{
        f"spinenet-{name}": partial(spinenet.SpineNet, variant=variant)
        for name, variant in spinenet.VARIANTS.items()
    },
    "resnet-50-fpn": fpn.ResNetFPN,
    "ssd300-vgg16": SSD300,
}
BACKBONES = [name for name in NETS if name.startswith("spinenet-") or name.endswith("-fpn")]
"""Networks that give maps of several scales where no classes are asked for."""


def build(
    name: str,
    num_classes: int | None = None,
    *,
    in_channels: int = 3,
    batch_norm: bool | None = None,
    init: str = "default",
    activation: str | None = None,
    generator: torch.Generator | None = None,
    **parts,
) -> nn.Module:
    """Build a network with initial weights, in training mode, on the CPU, in float32.

    Parameters
    ----------
    name : one of :func:`names`. ``plain-D`` and ``resnet-D`` with D of 8, 14, 20, 32, 56, 110 are
        twins: the same layers with and without skip connections, and for one seed the same initial
        weights. ``alexnet``, ``vgg-11`` … ``vgg-19``, ``googlenet``, ``resnet-18`` …
        ``resnet-152`` are those of torchvision; ``alexnet-2012``, ``googlenet-2014``, ``vgg-16-c``
        and ``inception-bn`` those of the papers; ``-auxiliary`` adds the auxiliary heads.
        ``simple-cnn`` is three convolutions and two linear layers, ``small-cnn`` the same with
        parts to change; ``vit-b-16`` is that of torchvision, for 224 pixels, ``vit-32px`` is
        small; ``spinenet-49s``, ``-49``, ``-96``, ``-143``, ``-190`` and ``resnet-50-fpn`` are for
        detection; ``ssd300-vgg16`` is a detector, see :mod:`pixgrad.nets.ssd`;
        ``fire-net`` and ``mobile-net`` are as large as resnet-8, of other blocks.
    num_classes : number of logits; None — for detection: maps of levels 3 … 7.
    in_channels : 3 for RGB, 1 for grey images.
    batch_norm : batch normalisation after every convolution; without it convolutions have biases.
        None — as the network is known: without it in ``simple-cnn``, ``small-cnn``, ``alexnet…``,
        ``vgg-…`` and ``googlenet-2014…``, with it in all others.
    init : "default" or "he", see :func:`pixgrad.nets.initialisation.initialise`.
    activation : "relu", "sigmoid" or "tanh"; None — as the network is known.
    generator : where initial weights are drawn from; None — a new one with seed 0. The global
        generator of torch is neither read nor advanced.
    parts : what else the network's class takes, such as those of
        :class:`pixgrad.nets.small.SmallCNN`.

    Raises
    ------
    PixgradError : an unknown name, or a choice that the network does not leave.

    Examples
    --------
    >>> net = build("resnet-20", 10, generator=torch.Generator().manual_seed(1))
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    _check(say("инициализации", "initialisation"), init, SCHEMES)
    net = skeleton(
        name,
        num_classes,
        in_channels=in_channels,
        batch_norm=batch_norm,
        activation=activation,
        **parts,
    )
    net.to_empty(device="cpu")
    initialise(net, init, generator or torch.Generator().manual_seed(0))
    return net


def skeleton(
    name: str,
    num_classes: int | None = None,
    *,
    in_channels: int = 3,
    batch_norm: bool | None = None,
    activation: str | None = None,
    **parts,
) -> nn.Module:
    """The same network on the meta device: its layers have shapes and no values, nothing is drawn.

    Enough to count and to draw, at once for any size; for the arguments see :func:`build`.

    Examples
    --------
    >>> net = skeleton("resnet-152", 1000)
    >>> sum(parameter.numel() for parameter in net.parameters())
    60192808
    >>> next(net.parameters()).device.type
    'meta'
    """
    _check(say("сети", "network"), name, NETS)
    for what, number in (("num_classes", num_classes), ("in_channels", in_channels)):
        if number is not None:
            whole(f"{name}: {what}", number)
    options = {} if batch_norm is None else {"batch_norm": batch_norm}
    if activation is not None:
        _check(say("функции активации", "activation"), activation, ACTIVATIONS)
        options["activation"] = ACTIVATIONS[activation]
    options |= parts
    fixed = options.keys() - inspect.signature(NETS[name]).parameters.keys()
    if fixed:
        raise PixgradError(
            f"у сети «{name}» нельзя выбрать {', '.join(sorted(fixed))}",
            f"network '{name}' leaves no choice of {', '.join(sorted(fixed))}",
        )
    if (num_classes is None) != (name in BACKBONES) and not name.startswith("spinenet-"):
        if name in BACKBONES:
            asked = say("классы не выбирают", "it has no classes to choose")
        else:
            asked = say("нужно число классов", "give num_classes")
        raise PixgradError(f"сеть «{name}»: {asked}", f"network '{name}': {asked}")
    options["in_channels"] = in_channels
    with torch.device("meta"):
        return NETS[name](num_classes, **options)


def names() -> tuple[str, ...]:
    """Names that :func:`build` knows.

    Examples
    --------
    >>> "resnet-20" in names()
    True
    """
    return tuple(NETS)


def _check(what: str, name: object, known: Iterable[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = say(f"; может быть, «{close[0]}»?", f"; perhaps '{close[0]}'?") if close else "."
        raise PixgradError(
            f"нет {what} «{name}»{hint} Есть: {', '.join(known)}",
            f"no {what} '{name}'{hint} There are: {', '.join(known)}",
        )
