"""Grad-CAM against the closed form of CAM and against finite differences."""

import pytest

torch = pytest.importorskip("torch")

from pixgrad import nets  # noqa: E402  (needs torch)
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.nets.gradcam import grad_cam  # noqa: E402

CLASSES = torch.tensor([2, 0, 4, 1, 3, 0])


def network(name):
    net = nets.build(name, 5, init="he", generator=torch.Generator().manual_seed(1))
    return net.double().eval()


def images(side):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(len(CLASSES), 3, side, side, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("name", "layer"), [("resnet-20", "layer3"), ("resnet-50", "layer4")])
def test_one_linear_layer_after_global_pooling(name, layer):
    """There dy/dA_k is w_k / (h w) in every cell: the map is that of CAM (Zhou et al., 2016)."""
    net, x = network(name), images(64)
    with torch.no_grad():
        maps = net.activation(net.bn1(net.conv1(x)))
        maps = net.maxpool(maps) if name == "resnet-50" else maps
        for stage in ("layer1", "layer2", "layer3", "layer4")[: int(layer[-1])]:
            maps = net.get_submodule(stage)(maps)
        cells = maps.shape[2] * maps.shape[3]
        cam = (net.fc.weight[CLASSES][:, :, None, None] * maps).sum(1).relu() / cells
    found = grad_cam(net, net.get_submodule(layer), x, CLASSES)
    assert found.shape == cam.shape == (len(CLASSES), *maps.shape[2:])
    assert (cam.amax((1, 2)) > 0).sum() >= 2
    torch.testing.assert_close(found, cam, rtol=1e-10, atol=1e-14)


def test_finite_differences():
    """The weight of map k is the slope of the logit as the whole map is raised, per cell."""
    net, x, step = network("simple-cnn"), images(48), 1e-6

    def logits(maps):
        return net.fc(net.activation(net.hidden(net.avgpool(maps).flatten(1))))

    with torch.no_grad():
        maps = net.features(x)
        cells = maps.shape[2] * maps.shape[3]
        slopes = torch.empty(maps.shape[:2], dtype=maps.dtype)
        for k in range(maps.shape[1]):
            raised, lowered = maps.clone(), maps.clone()
            raised[:, k] += step
            lowered[:, k] -= step
            slope = (logits(raised) - logits(lowered)) / (2 * step)
            slopes[:, k] = slope[torch.arange(len(CLASSES)), CLASSES]
        expected = (slopes[:, :, None, None] / cells * maps).sum(1).relu()
    found = grad_cam(net, net.features, x, CLASSES)
    assert (expected.amax((1, 2)) > 0).sum() >= 2
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_leaves_the_network_as_it_was():
    """Frozen weights, no gradient recording around: the same map; no hooks or gradients stay."""
    net, x = network("resnet-8"), images(32)
    expected = grad_cam(net, net.layer2, x, CLASSES)
    assert all(parameter.grad is None for parameter in net.parameters())
    net.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(grad_cam(net, net.layer2, x, CLASSES), expected)
        assert not net(x).requires_grad


def test_training_mode_is_refused():
    net = network("resnet-8").train()
    with pytest.raises(PixgradError, match="режиме предсказания"):
        grad_cam(net, net.layer3, images(32), CLASSES)
