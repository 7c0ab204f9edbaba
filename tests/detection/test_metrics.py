"""Average precision against pycocotools, on made-up detections; by hand; kinds of mistakes."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

pytest.importorskip("torch")
coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from pixgrad.detection import errors, metrics  # noqa: E402


@st.composite
def scenes(draw):
    """Detections and truth of a few photos: near ones, far ones, without area, none at all."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    found, truth = [], []
    for _ in range(draw(st.integers(1, 4))):
        number, extra = draw(st.integers(0, 6)), draw(st.integers(0, 5))
        size = rng.uniform(0.05, 0.5, (number, 2))
        if number and draw(st.booleans()):
            size[0, 0] = 0
        first = rng.uniform(0, 1 - size)
        real = np.concatenate([first, first + size], axis=1)
        labels = rng.integers(0, 2, number)
        near = (real + rng.normal(0, 0.03, real.shape))[: draw(st.integers(0, 6))]
        corner = rng.uniform(0, 0.7, (extra, 2))
        far = np.concatenate([corner, corner + rng.uniform(0, 0.3, (extra, 2))], axis=1)
        boxes = np.concatenate([near, near[::2], far])
        boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
        guessed = np.concatenate([labels[: len(near)], labels[: len(near)][::2]])
        guessed = np.concatenate([guessed, rng.integers(0, 2, extra)]).astype(int)
        found.append((boxes, rng.permutation(len(boxes)) / 50 + rng.uniform(0, 0.01), guessed))
        truth.append((real, labels))
    return found, truth


def reference(found, truth):
    """pycocotools: precision averages by class and threshold, -1 where there are no objects."""

    def box(corners):
        return [float(v) for v in (*corners[:2], *(corners[2:] - corners[:2]))]

    annotations = [
        {"id": 0, "image_id": photo, "category_id": int(label), "bbox": box(corners)}
        | {"area": 1.0, "iscrowd": 0}
        for photo, (real, labels) in enumerate(truth)
        for corners, label in zip(real, labels, strict=True)
    ]
    for number, one in enumerate(annotations, 1):
        one["id"] = number
    results = [
        {"image_id": photo, "category_id": int(label), "bbox": box(corners), "score": float(score)}
        for photo, of in enumerate(found)
        for corners, score, label in zip(*of, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        real = coco.COCO()
        real.dataset = {
            "images": [{"id": photo} for photo in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": 0}, {"id": 1}],
        }
        real.createIndex()
        evaluation = cocoeval.COCOeval(real, real.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, -1]  # (T, R, K)


@given(scenes())
@settings(max_examples=30, deadline=None)
def test_average_precision_is_that_of_pycocotools(pair):
    found, truth = pair
    if not any(len(scores) for _, scores, _ in found):
        return
    expected = reference(found, truth)
    for label in range(2):
        ours = metrics.average_precision(metrics.judge(found, truth, label))
        theirs = expected[:, :, label].mean(axis=1)
        if (theirs < 0).all():
            assert np.isnan(ours).all()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@given(scenes(), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_weights_are_photos_taken_several_times(pair, seed):
    """A photo with weight 2 counts as two photos with the same scores, one with 0 not at all."""
    found, truth = pair
    counts = np.random.default_rng(seed).integers(0, 3, len(found))
    drawn = np.repeat(np.arange(len(found)), counts)
    if not len(drawn):
        return
    weighted = metrics.average_precision(metrics.judge(found, truth, 0), counts[:, None])[:, 0]
    copies = metrics.judge([found[i] for i in drawn], [truth[i] for i in drawn], 0)
    # Equal scores stand in another order: precision is taken where a run of them ends.
    plain = metrics.average_precision(copies)
    assert np.isnan(weighted).all() == np.isnan(plain).all()
    np.testing.assert_allclose(weighted, plain, atol=0.05)


def test_average_precision_by_hand():
    """Five detections, two objects of three found: 1, 0, 1, 0, 0."""
    judged = metrics.Judged(
        np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
        np.zeros(5, int),
        np.arange(5),
        np.array([[True, False, True, False, False]]),
        np.array([3]),
    )
    # Precision 1 up to recall 1/3 (34 of 101 points), 2/3 up to 2/3 (33 points), then 0.
    assert metrics.average_precision(judged)[0] == pytest.approx((34 + 33 * 2 / 3) / 101)
    recall, precision = metrics.precision_recall(judged)
    assert recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert precision == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2, 2 / 5])


def test_nothing_found_and_nothing_to_find():
    empty = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    one = (np.array([[0.1, 0.1, 0.4, 0.4]]), np.array([0]))
    assert (metrics.average_precision(metrics.judge([empty], [one], 0)) == 0).all()
    assert np.isnan(metrics.average_precision(metrics.judge([empty], [one], 1))).all()


def test_kinds_of_mistakes():
    truth = np.array([[0.0, 0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.6, 0.2, 0.8]])
    boxes = np.array(
        [
            [0.0, 0, 0.4, 0.4],  # finds object 0
            [0.0, 0, 0.4, 0.38],  # the same one again
            [0.5, 0.5, 0.9, 0.9],  # fits an object of another class
            [0.05, 0.65, 0.3, 0.9],  # near its object
            [0.7, 0.0, 0.8, 0.1],  # nothing is there
        ]
    )
    found, seen = errors.kinds(boxes, np.array([0, 0, 0, 1, 0]), truth, np.array([0, 1, 1]))
    assert found.tolist() == ["found", "double", "wrong class", "badly placed", "background"]
    assert seen.tolist() == [True, False, False]
    total = errors.count([(found, seen), errors.kinds(boxes[:0], np.zeros(0), truth, seen)])
    assert total == dict.fromkeys(errors.KINDS, 1) | {"missed": 5}
