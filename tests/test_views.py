"""Smaller views keep their geometry; measures over features against `evaluate` and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from pixgrad import data, views
from pixgrad.data.types import apply_homography
from pixgrad.sift import Sift, evaluate, match


@pytest.fixture(scope="module")
def pair():
    return views.shrink_pair(data.load("synthetic")[1], 200)


@pytest.fixture(scope="module")
def features(pair):
    return views.detect_all([pair], Sift(compiled=False).detect_and_compute)[0]


def test_small_homography_maps_the_same_places():
    pair = data.load("synthetic")[2]
    small = views.shrink_pair(pair, 128)
    scale = np.array(small.first.shape[1::-1]) / np.array(pair.first.shape[1::-1])
    xy = np.random.default_rng(0).uniform(0, 511, (20, 2))
    expected = (pair.transfer(xy) + 0.5) * scale - 0.5
    found = apply_homography(small.homography, (xy + 0.5) * scale - 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert max(small.second.shape) == 128


def test_first_view_of_a_sequence_is_detected_once(pair):
    calls = []

    def detect(image):
        calls.append(image)
        return len(calls)

    assert views.detect_all([pair, replace(pair, number=9)], detect) == [(1, 2), (1, 3)]
    assert calls[0] is pair.first


@pytest.mark.parametrize("ratio", [None, 0.8])
@pytest.mark.parametrize("mutual", [False, True])
def test_scores_are_those_of_evaluate(pair, features, ratio, mutual):
    judged = views.judge(pair, *features)
    kept = judged.matches.ratio < (2 if ratio is None else ratio)
    if mutual:
        kept &= judged.mutual
    e = evaluate(
        *features, pair.homography, pair.first.shape, pair.second.shape, ratio=ratio, mutual=mutual
    )
    assert judged.scores(kept) == pytest.approx((e.precision, e.recall, e.matching_score))
    assert e.correct > 50


def test_mutual_matches_hold_both_ways(pair, features):
    judged = views.judge(pair, *features)
    there, back = (
        dict(zip(m.first.tolist(), m.second.tolist(), strict=True))
        for m in (match(judged.a, judged.b, None), match(judged.b, judged.a, None))
    )
    expected = [back[there[i]] == i for i in range(len(judged.a))]
    assert judged.mutual.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_scikit_image_finds_a_blob_where_it_is():
    y, x = np.mgrid[:96, :128]
    blob = 40 + 180 * np.exp(-((x - 70) ** 2 + (y - 40) ** 2) / (2 * 4.0**2))
    f = views.scikit_image_features(blob.round().astype(np.uint8))
    nearest = np.linalg.norm(f.xy - np.array([70, 40]), axis=1).argmin()
    np.testing.assert_allclose(f.xy[nearest], [70, 40], atol=0.3)
    ours = Sift(compiled=False).detect_and_compute(blob.round().astype(np.uint8))
    same = np.linalg.norm(ours.xy - np.array([70, 40]), axis=1).argmin()
    assert f.size[nearest] == pytest.approx(ours.size[same], rel=0.1)
    assert f.descriptors.shape[1] == 128
