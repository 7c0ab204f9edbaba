"""Matching and the loss against torchvision's SSD; hard negatives by definition."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torchvision import ops  # noqa: E402
from torchvision.models.detection._utils import SSDMatcher  # noqa: E402
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator  # noqa: E402
from torchvision.models.detection.ssd import SSD  # noqa: E402

from pixgrad.detection.boxes import (  # noqa: E402
    Grid,
    decode,
    default_boxes,
    iou,
    to_centres,
    to_corners,
)
from pixgrad.detection.loss import hardest_negatives, multibox_loss  # noqa: E402
from pixgrad.detection.matching import BACKGROUND, match, targets  # noqa: E402

DEFAULTS = default_boxes([Grid(6, 6, 0.2, 0.4), Grid(3, 3, 0.4, 0.8)])


@st.composite
def objects(draw, smallest=1, area=True):
    """Corners (G, 4) with random places and sizes."""
    count = draw(st.integers(smallest, 5))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    size = torch.rand(count, 2, generator=rng) * 0.6 + 0.05
    if not area:
        size[draw(st.integers(0, count - 1)), draw(st.integers(0, 1))] = 0
    first = torch.rand(count, 2, generator=rng) * (1 - size)
    return torch.cat([first, first + size], dim=1)


@given(objects())
@settings(max_examples=50, deadline=None)
def test_matching_is_that_of_torchvision(truth):
    expected = SSDMatcher(0.5)(ops.box_iou(truth, to_corners(DEFAULTS)))
    assert torch.equal(match(truth, DEFAULTS), expected)


@given(objects(area=False))
@settings(max_examples=25, deadline=None)
def test_an_object_without_area_gets_one_box_at_most_by_force(truth):
    matched, overlap = match(truth, DEFAULTS), iou(truth, to_corners(DEFAULTS))
    flat = torch.nonzero((truth[:, 2:] - truth[:, :2]).prod(1) == 0).flatten()
    assert (overlap[flat] == 0).all()
    assert all((matched == number).sum() <= 1 for number in flat)


def test_a_photo_without_objects_is_all_background():
    assert (match(torch.zeros(0, 4), DEFAULTS) == BACKGROUND).all()
    offsets, classes = targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), DEFAULTS)
    assert not offsets.any()
    assert not classes.any()


@given(objects())
@settings(max_examples=25, deadline=None)
def test_decoded_targets_are_the_objects(truth):
    labels = torch.arange(len(truth))
    offsets, classes = targets(truth, labels, DEFAULTS)
    positive = classes > 0
    found = to_corners(decode(offsets, DEFAULTS))[positive]
    torch.testing.assert_close(found, truth[classes[positive] - 1], rtol=0, atol=1e-5)


def reference(num_classes):
    """torchvision's SSD without a network: its loss alone is used."""
    body = nn.Identity()
    body.out_channels = [8, 8]
    return SSD(body, DefaultBoxGenerator([[2], [2]]), (300, 300), num_classes)


@given(st.lists(objects(), min_size=1, max_size=3), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_loss_is_that_of_torchvision(photos, seed):
    rng = torch.Generator().manual_seed(seed)
    labels = [torch.randint(0, 3, (len(truth),), generator=rng) for truth in photos]
    offsets = torch.randn(len(photos), len(DEFAULTS), 4, generator=rng)
    logits = torch.randn(len(photos), len(DEFAULTS), 4, generator=rng)
    wanted = [targets(*pair, DEFAULTS) for pair in zip(photos, labels, strict=True)]
    place, of_class = multibox_loss(offsets, logits, *map(torch.stack, zip(*wanted, strict=True)))
    theirs = reference(4).compute_loss(
        [{"boxes": truth, "labels": of + 1} for truth, of in zip(photos, labels, strict=True)],
        {"bbox_regression": offsets, "cls_logits": logits},
        [to_corners(DEFAULTS)] * len(photos),
        [match(truth, DEFAULTS) for truth in photos],
    )
    torch.testing.assert_close(place, theirs["bbox_regression"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(of_class, theirs["classification"], rtol=1e-4, atol=1e-5)


def test_hardest_negatives_by_hand():
    losses = torch.tensor([[5.0, 1.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    positive = torch.tensor([[True, False, False, False, False], [False] * 5])
    chosen = hardest_negatives(losses, positive, 2)
    assert chosen.tolist() == [[False, False, True, True, False], [False] * 5]


def test_without_objects_there_is_no_loss_of_places_and_it_can_be_learned():
    logits = torch.zeros(1, 5, 3, requires_grad=True)
    offsets = torch.zeros(1, 5, 4, requires_grad=True)
    classes = torch.zeros(1, 5, dtype=torch.int64)
    place, mined = multibox_loss(offsets, logits, torch.zeros(1, 5, 4), classes)
    assert (place.item(), mined.item()) == (0, 0)
    _, everything = multibox_loss(offsets, logits, torch.zeros(1, 5, 4), classes, negatives=None)
    assert everything.item() == pytest.approx(5 * torch.tensor(3.0).log().item())
    (place + mined + everything).backward()
    assert logits.grad.isfinite().all()


def test_offsets_of_a_default_box_itself_are_zero():
    offsets, classes = targets(to_corners(DEFAULTS[:1]), torch.tensor([2]), DEFAULTS)
    assert classes[0] == 3
    assert offsets[0].abs().max() < 1e-5
    torch.testing.assert_close(to_centres(to_corners(DEFAULTS)), DEFAULTS)
