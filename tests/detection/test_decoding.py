"""Non-maximum suppression and the whole decoding against torchvision's."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torchvision import ops  # noqa: E402

from pixgrad.detection.boxes import Grid, default_boxes, iou  # noqa: E402
from pixgrad.detection.decoding import detections, nms  # noqa: E402

DEFAULTS = default_boxes([Grid(4, 4, 0.3, 0.5)])
COORDINATE = st.integers(0, 12).map(lambda value: value / 12)


@st.composite
def scored(draw):
    """Boxes (N, 4) on a coarse grid, some without area, with scores that all differ."""
    count = draw(st.integers(0, 12))
    rows = []
    for _ in range(count):
        (left, right), (top, bottom) = (
            sorted((draw(COORDINATE), draw(COORDINATE))) for _ in range(2)
        )
        rows.append([left, top, right, bottom])
    order = draw(st.permutations(range(count)))
    boxes = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
    return boxes, (torch.tensor(order, dtype=torch.float64) + 1) / (count + 1)


@given(scored(), st.sampled_from([0.05, 0.33, 0.52, 0.95]))
@settings(max_examples=75, deadline=None)
def test_nms_is_that_of_torchvision(pair, threshold):
    boxes, scores = pair
    assert nms(boxes, scores, threshold).tolist() == ops.nms(boxes, scores, threshold).tolist()


@given(scored())
@settings(max_examples=25, deadline=None)
def test_what_stays_does_not_overlap_and_what_goes_does(pair):
    boxes, scores = pair
    kept = nms(boxes, scores, 0.45)
    between = iou(boxes[kept], boxes[kept]) - torch.eye(len(kept))
    assert (between <= 0.45).all()
    gone = [row for row in range(len(boxes)) if row not in kept]
    for row in gone:
        surer = kept[scores[kept] > scores[row]]
        assert iou(boxes[row : row + 1], boxes[surer]).max() > 0.45


def test_decoding_keeps_classes_apart_and_the_surest_first():
    offsets, logits = torch.zeros(len(DEFAULTS), 4), torch.full((len(DEFAULTS), 3), -9.0)
    logits[:, 0] = 9
    logits[0], logits[1] = torch.tensor([0.0, 4.0, 5.0]), torch.tensor([0.0, 3.0, -9.0])
    found = detections(offsets, logits, DEFAULTS, lowest=0.05)
    # Of class 0 the second box (0.95) suppresses the first (0.27), which stays as class 1.
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.952, 0.727], abs=1e-3)
    assert len(detections(offsets, logits, DEFAULTS, lowest=0.05, most=1)) == 1


def test_nothing_sure_is_nothing_found():
    logits = torch.full((len(DEFAULTS), 3), -9.0)
    logits[:, 0] = 9
    assert len(detections(torch.zeros(len(DEFAULTS), 4), logits, DEFAULTS)) == 0
