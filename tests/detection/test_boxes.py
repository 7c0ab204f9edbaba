"""Boxes against torchvision: overlap, conversions, offsets, default boxes."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torchvision import ops  # noqa: E402
from torchvision.models.detection import ssd300_vgg16  # noqa: E402
from torchvision.models.detection._utils import BoxCoder  # noqa: E402
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator  # noqa: E402
from torchvision.models.detection.image_list import ImageList  # noqa: E402

from pixgrad.detection import published  # noqa: E402
from pixgrad.detection.boxes import (  # noqa: E402
    Grid,
    area,
    decode,
    default_boxes,
    encode,
    iou,
    to_centres,
    to_corners,
)

SHARE = st.integers(0, 40).map(lambda value: value / 40)


@st.composite
def corners(draw, smallest=0, largest=8):
    """Boxes (N, 4) on a coarse grid: many touch, coincide, or have no area."""
    count = draw(st.integers(smallest, largest))
    rows = []
    for _ in range(count):
        (left, right), (top, bottom) = (sorted((draw(SHARE), draw(SHARE))) for _ in range(2))
        rows.append([left, top, right, bottom])
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)


@given(corners(), corners())
@settings(max_examples=75, deadline=None)
def test_iou_is_that_of_torchvision(a, b):
    expected = ops.box_iou(a, b)
    both_empty = expected.isnan()  # 0 / 0 there
    assert (iou(a, b)[both_empty] == 0).all()
    torch.testing.assert_close(iou(a, b)[~both_empty], expected[~both_empty], rtol=0, atol=1e-12)


@given(corners(1), corners(1))
@settings(max_examples=30, deadline=None)
def test_iou_does_not_see_how_the_photo_is_stretched(a, b):
    stretch = torch.tensor([640.0, 480.0] * 2)
    torch.testing.assert_close(iou(a * stretch, b * stretch), iou(a, b))


@given(corners())
@settings(max_examples=30, deadline=None)
def test_corners_and_centres_are_two_ways_to_write_a_box(boxes):
    expected = ops.box_convert(boxes, "xyxy", "cxcywh")
    torch.testing.assert_close(to_centres(boxes), expected)
    torch.testing.assert_close(to_corners(to_centres(boxes)), boxes)
    torch.testing.assert_close(area(boxes), ops.box_area(boxes))


@given(corners(1, 1), corners(1, 1))
@settings(max_examples=50, deadline=None)
def test_offsets_are_those_of_torchvision_and_come_back(box, default):
    if min(area(box).item(), area(default).item()) == 0:
        return
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    offsets = encode(to_centres(box), to_centres(default))
    torch.testing.assert_close(offsets, coder.encode_single(box, default))
    torch.testing.assert_close(to_corners(decode(offsets, to_centres(default))), box)
    far = offsets * 100
    expected = coder.decode_single(far, default)
    torch.testing.assert_close(to_corners(decode(far, to_centres(default))), expected)


@pytest.mark.parametrize(("side", "count"), [(300, 8732), (512, 24_564)])
def test_default_boxes_of_the_paper(side, count):
    ours = default_boxes(published.grids(side))
    assert ours.shape == (count, 4)
    sizes = [cells for cells, _ in published.MAPS[side]]
    theirs = DefaultBoxGenerator(
        [[2], *[[2, 3]] * (len(sizes) - 3), [2], [2]],
        scales=list(published.SCALES[side]),
        steps=[pitch for _, pitch in published.MAPS[side]],
    )
    photo = torch.zeros(1, 3, side, side)
    [expected] = theirs(
        ImageList(photo, [(side, side)]), [torch.zeros(1, 1, size, size) for size in sizes]
    )
    torch.testing.assert_close(to_corners(ours) * side, expected, rtol=0, atol=1e-3)


def test_torchvision_has_the_scales_of_300():
    with torch.device("meta"):
        net = ssd300_vgg16(weights=None, weights_backbone=None)
    theirs = net.anchor_generator
    assert theirs.scales == list(published.SCALES[300])
    assert theirs.steps == [pitch for _, pitch in published.MAPS[300]]


def test_centres_fill_the_photo_where_no_pitch_is_given():
    boxes = default_boxes([Grid(2, 4, 0.1, 0.2)])
    assert boxes[::4, 0].tolist() == [0.125, 0.375, 0.625, 0.875] * 2
    assert boxes[::4, 1].tolist() == [0.25] * 4 + [0.75] * 4
