"""Initial weights against torch's own draws, the formulas and torchvision's recipe."""

import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from pixgrad import nets  # noqa: E402


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def all_convolutions(net):
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("name", ["simple-cnn", "plain-20"])
def test_default_draws_what_torch_draws(name):
    """The same layers made by torch itself one after another from the same seed."""
    net = nets.build(name, 10, batch_norm=False, generator=seeded(3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for _, ours in nets.weighted_layers(net):
            if isinstance(ours, nn.Conv2d):
                theirs = nn.Conv2d(ours.in_channels, ours.out_channels, ours.kernel_size)
            else:
                theirs = nn.Linear(ours.in_features, ours.out_features)
            assert torch.equal(ours.weight, theirs.weight)
            assert torch.equal(ours.bias, theirs.bias)


def test_he_draws_what_torchvision_draws():
    """torchvision's recipe (He fan-out in convolutions, linear layers by default), replayed."""
    torchvision = pytest.importorskip("torchvision")
    ours = nets.build("resnet-18", 1000, init="he", generator=seeded(5)).state_dict()
    theirs = torchvision.models.resnet18()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for module in theirs.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                module.reset_parameters()
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours[key], value), key


@pytest.mark.parametrize("name", ["simple-cnn", "plain-56", "resnet-56", "resnet-18"])
@pytest.mark.parametrize("init", ["default", "he"])
def test_spread_of_every_layer(name, init):
    net = nets.build(name, 10, init=init, batch_norm=False, generator=seeded(1))
    layers = [*all_convolutions(net), *(m for m in net.modules() if isinstance(m, nn.Linear))]
    for layer in layers:
        weight, fan_in = layer.weight.detach().double(), layer.weight[0].numel()
        bound = (1 + 1e-6) / math.sqrt(fan_in)  # rounded to float32
        if init == "he" and isinstance(layer, nn.Conv2d):
            variance = 2 / (layer.out_channels * layer.weight[0, 0].numel())
            kurtosis = 3.0
            assert not layer.bias.any()
        else:
            variance, kurtosis = bound**2 / 3, 1.8
            assert weight.abs().max() <= bound
            assert layer.bias.abs().max() <= bound
            assert layer.bias.any()
        # Five standard errors of a variance and of a mean from so many independent draws.
        n = weight.numel()
        assert weight.square().mean() == pytest.approx(
            variance, rel=5 * math.sqrt((kurtosis - 1) / n)
        )
        assert abs(weight.mean()) < 5 * math.sqrt(variance / n)
        if n > 2000:
            fourth = weight.pow(4).mean() / weight.square().mean() ** 2
            assert fourth == pytest.approx(kurtosis, abs=0.6)  # normal 3, uniform 1.8


@pytest.mark.parametrize("init", ["default", "he"])
def test_batch_norm_starts_as_the_identity(init):
    for module in nets.build("resnet-20", 10, init=init).modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()
            assert not module.running_mean.any()
            assert (module.running_var == 1).all()
            assert module.num_batches_tracked == 0
