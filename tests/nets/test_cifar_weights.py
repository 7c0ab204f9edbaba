"""Published weights in our networks: the published accuracy, and a forward pass without them."""

import hashlib
import sys

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402, N812  (needs torch)

from pixgrad import data  # noqa: E402
from pixgrad.data import files  # noqa: E402
from pixgrad.errors import PixgradError, SourceError  # noqa: E402
from pixgrad.nets import cifar_weights  # noqa: E402
from pixgrad.nets.published import normalised  # noqa: E402

NAMES = tuple(cifar_weights.PUBLISHED)


@pytest.fixture(scope="module")
def weights_folder():
    folder = files.root() / "resnet_cifar10_weights"
    if not folder.is_dir():
        pytest.skip(f"no published weights in {folder}")
    return folder


@pytest.fixture(scope="module")
def test_images():
    try:
        return data.load("cifar10", split="test")
    except PixgradError as error:
        pytest.skip(str(error))


def plain_forward(state, x):
    """The network of the raw file, function by function, straight from the paper."""

    def conv_norm(x, conv, norm, stride=1):
        x = F.conv2d(x, state[f"{conv}.weight"], stride=stride, padding=1)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"])

    x = conv_norm(x, "module.conv1", "module.bn1").relu()
    for stage in (1, 2, 3):
        index = 0
        while f"module.layer{stage}.{index}.conv1.weight" in state:
            name = f"module.layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            out = conv_norm(x, f"{name}.conv1", f"{name}.bn1", stride).relu()
            out = conv_norm(out, f"{name}.conv2", f"{name}.bn2")
            skip = torch.zeros_like(out)
            first = (out.shape[1] - x.shape[1]) // 2
            skip[:, first : first + x.shape[1]] = x[:, :, ::stride, ::stride]
            x, index = (out + skip).relu(), index + 1
    return x.mean((2, 3)) @ state["module.linear.weight"].T + state["module.linear.bias"]


@torch.no_grad()
def answers(net, images):
    batches = normalised(images, cifar_weights.MEAN, cifar_weights.STD).split(500)
    return torch.cat([net(batch) for batch in batches])


@pytest.mark.parametrize(("name", "count"), [("resnet-20", 500), ("resnet-56", 100)])
def test_logits_of_an_independent_forward_pass(weights_folder, test_images, name, count):
    raw = torch.load(
        weights_folder / cifar_weights.PUBLISHED[name], map_location="cpu", weights_only=True
    )["state_dict"]
    images = test_images.images[:count]
    x = torch.tensor(images).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    with torch.no_grad():
        expected = plain_forward(raw, x)
    found = answers(cifar_weights.load(name), images)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    labels = torch.tensor(test_images.labels[:count])
    assert (found.argmax(1) == labels).float().mean() > 0.88


@pytest.mark.slow
@pytest.mark.parametrize(("name", "accuracy"), [("resnet-20", 0.9173), ("resnet-56", 0.9339)])
def test_published_accuracy(weights_folder, test_images, name, accuracy):
    assert len(test_images) == 10_000
    found = answers(cifar_weights.load(name), test_images.images).argmax(1).numpy()
    correct = int((found == test_images.labels).sum())
    assert correct == round(10_000 * accuracy)  # as their author gives it


@pytest.mark.parametrize("name", NAMES)
def test_files_are_announced_to_the_report_generator(weights_folder, name):
    seen = []
    sys.addaudithook(lambda event, args: seen.append((event, *args)) if recording else None)
    recording = True
    cifar_weights.load(name)
    recording = False
    assert ("pixgrad.read", str(weights_folder / cifar_weights.PUBLISHED[name])) in seen


def test_missing_file_says_where_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    with pytest.raises(PixgradError, match=r"resnet20-12fca82f\.th.*pretrained_models"):
        cifar_weights.load("resnet-20")


def test_damaged_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    path = tmp_path / "resnet_cifar10_weights" / "resnet56-4bfd9763.th"
    path.parent.mkdir()
    path.write_bytes(b"half of a file")
    digest = hashlib.sha256(b"half of a file").hexdigest()[:12]
    with pytest.raises(SourceError, match=rf"4bfd9763\.th: .*SHA-256 {digest}.*с 4bfd9763"):
        cifar_weights.load("resnet-56")


def test_network_without_published_weights():
    with pytest.raises(PixgradError, match=r"«resnet-32».*Есть: resnet-20, resnet-56"):
        cifar_weights.load("resnet-32")
