"""ResNet-18 … ResNet-152 against torchvision: counts, names of weights, outputs."""

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models

from pixgrad import nets  # noqa: E402  (needs torch)

COUNTS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def torchvision_net(depth, **options):
    """With the batch statistics of no identity, so that nothing cancels."""
    generator = torch.Generator().manual_seed(depth)
    with torch.random.fork_rng():
        torch.manual_seed(depth)
        net = getattr(models, f"resnet{depth}")(**options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.1, generator=generator)
    return net


@pytest.mark.parametrize("depth", COUNTS)
def test_parameters_and_outputs(depth):
    theirs = torchvision_net(depth)
    ours = nets.build(f"resnet-{depth}", 1000)
    assert sum(parameter.numel() for parameter in ours.parameters()) == COUNTS[depth]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 65, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.eval()(images)
        assert expected.std() > 1e-2
        assert (ours.eval()(images) - expected).abs().max() <= 1e-6 * max(1, expected.abs().max())


def test_training_step_is_the_same():
    """Gradients, and the statistics that batch normalisation collects."""
    theirs = torchvision_net(18, num_classes=5)
    ours = nets.build("resnet-18", 5)
    ours.load_state_dict(theirs.state_dict())
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
