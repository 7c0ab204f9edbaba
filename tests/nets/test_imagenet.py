"""ResNet-18 … ResNet-152 against torchvision: counts, names of weights, outputs."""

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models

from pixgrad import nets  # noqa: E402  (needs torch)

COUNTS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def pair(depth, classes):
    """Our network and torchvision's with the same weights; no batch statistic is trivial."""
    generator = torch.Generator().manual_seed(depth)
    ours = nets.build(f"resnet-{depth}", classes, init="he", generator=generator)
    for module in ours.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.1, generator=generator)
    with torch.device("meta"):
        theirs = getattr(models, f"resnet{depth}")(num_classes=classes)
    copied = {key: value.clone() for key, value in ours.state_dict().items()}
    theirs.load_state_dict(copied, assign=True)
    return ours, theirs


@pytest.mark.parametrize("depth", COUNTS)
def test_parameters_and_outputs(depth):
    ours, theirs = pair(depth, 1000)
    assert sum(parameter.numel() for parameter in ours.parameters()) == COUNTS[depth]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    images = torch.randn(2, 3, 65, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.eval()(images)
        assert expected.std() > 1e-2
        assert (ours.eval()(images) - expected).abs().max() <= 1e-6


def test_training_step_is_the_same():
    """Gradients, and the statistics that batch normalisation collects."""
    ours, theirs = pair(18, 5)
    images = torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    for net in (ours, theirs):
        torch.nn.functional.cross_entropy(net(images), torch.tensor([0, 1, 2, 3])).backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (a.grad - b.grad).norm() <= 1e-5 * b.grad.norm()
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


def test_resnet_50_of_five_classes():
    net = nets.build("resnet-50", 5)
    assert sum(parameter.numel() for parameter in net.parameters()) == 23_518_277
