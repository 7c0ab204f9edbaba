"""Adam against AdaMax on made-up images: tables against scikit-learn and SciPy, resuming, steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
sklearn = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")

import tiny_training  # noqa: E402  (needs torch)

from pixgrad import experiments, nets, results  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.experiments import adam_vs_adamax as ava  # noqa: E402
from pixgrad.training import loop  # noqa: E402

NAMES = tiny_training.images().names
TINY = ava.Preset(
    (1e-4, 3e-3, 1e20),
    3,
    2,
    1,
    8,
    4,
    {"batch_size": 16, "weight_decay": 0.0, "network": "resnet-8"},
)
TRAINING = ava.Config(
    stage="main", network="resnet-8", optimiser="adamax", seed=1, epochs=2, lr=3e-3, batch_size=16
)
STEPS = ava.Config(
    stage="steps", network="resnet-8", optimiser="adam", seed=0, epochs=1, lr=1e-3, steps=8
)


def ignore(epochs: int, accuracy: float) -> None:
    pass


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project where a tiny preset was run; the largest of its learning rates diverges."""
    patch, place = pytest.MonkeyPatch(), tmp_path_factory.mktemp("project")
    patch.chdir(place)
    patch.setattr(ava, "load_data", lambda source: tiny_training.images())
    patch.setattr(ava, "PRESETS", {"report": TINY})
    patch.setattr(ava, "RESAMPLES", 500)
    experiments.run("adam_vs_adamax")
    yield place
    patch.undo()


@pytest.fixture(scope="module")
def found(project) -> results.Results:
    return results.load("adam_vs_adamax")


def test_both_methods_get_the_same_budget():
    plan = ava.plan("report", None)
    sweep = {
        optimiser: [c for c in plan if (c.stage, c.optimiser) == ("sweep", optimiser)]
        for optimiser in ava.OPTIMISERS
    }
    assert {1e-3, 2e-3} < {config.lr for config in sweep["adam"]}
    assert len(sweep["adam"]) >= 4
    assert [replace(c, optimiser="adamax") for c in sweep["adam"]] == sweep["adamax"]


def test_main_runs_take_the_rate_with_the_smallest_validation_loss(found):
    sweep = found.tables["sweep"]
    diverged = sweep["status"] == "diverged"
    assert sweep[diverged]["rate"].tolist() == [1e20, 1e20]
    main = [run for run in found.record.runs if run.config["stage"] == "main"]
    assert len(main) == 6
    for optimiser, rows in sweep[~diverged].groupby("optimiser"):
        best = rows.loc[rows["validation_loss"].idxmin()]
        assert best["chosen"]
        mine = [run for run in main if run.config["optimiser"] == optimiser]
        assert {run.config["lr"] for run in mine} == {best["rate"]}
        assert [run.seed for run in mine] == [1, 2, 3]
    starts = {run.seed: run.first_losses[0] for run in main}
    assert all(run.first_losses[0] == starts[run.seed] for run in main)  # same weights and batch


def test_metrics_are_those_of_scikit_learn(found):
    labels = found.arrays["labels"]
    for row in found.tables["summary"].itertuples():
        answers = found.arrays[f"probability.{row.optimiser}-{row.seed}"].argmax(axis=1)
        assert row.test_accuracy == pytest.approx(sklearn.accuracy_score(labels, answers))
        macro = sklearn.f1_score(labels, answers, average="macro", zero_division=0)
        assert row.test_macro_f1 == pytest.approx(macro)
    for optimiser in ava.OPTIMISERS:
        answers = [
            found.arrays[f"probability.{optimiser}-{seed}"].argmax(axis=1) for seed in (1, 2, 3)
        ]
        confusion = sum(sklearn.confusion_matrix(labels, a, labels=range(4)) for a in answers)
        np.testing.assert_array_equal(found.arrays[f"confusion.{optimiser}"], confusion)
        classes = found.tables["classes"]
        mine = classes[classes["optimiser"] == optimiser]
        scores = [sklearn.f1_score(labels, a, average=None, zero_division=0) for a in answers]
        np.testing.assert_allclose(mine["f1"], np.mean(scores, axis=0))
        assert mine["class"].tolist() == list(NAMES)
        assert (mine["low"] <= mine["f1"]).all()
        assert (mine["f1"] <= mine["high"]).all()


def test_difference_over_seeds_is_the_paired_t_test(found):
    table, summary = found.tables["comparison"], found.tables["summary"]
    for metric in ("accuracy", "macro_f1"):
        by_seed = summary.pivot(index="seed", columns="optimiser", values=f"test_{metric}")
        expected = stats.ttest_rel(by_seed["adam"], by_seed["adamax"]).confidence_interval()
        row = _row(table, metric, "difference", "seeds")
        assert row["estimate"] == pytest.approx((by_seed["adam"] - by_seed["adamax"]).mean())
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
        assert row["detectable"] > row["high"] - row["estimate"]
        images = {of: _row(table, metric, of, "images") for of in (*ava.OPTIMISERS, "difference")}
        for optimiser in ava.OPTIMISERS:
            assert images[optimiser]["estimate"] == pytest.approx(by_seed[optimiser].mean())
        assert images["difference"]["estimate"] == pytest.approx(row["estimate"])


def _row(table, metric: str, of: str, over: str):
    chosen = (table["metric"] == metric) & (table["of"] == of) & (table["over"] == over)
    (row,) = table[chosen].to_dict("records")
    return row


def test_chance_is_the_mean_over_shuffled_answers():
    rng = np.random.default_rng(0)
    labels, answers = np.repeat([0, 1, 2], [50, 30, 20]), rng.integers(0, 2, (1, 100))
    shuffled = [
        sklearn.f1_score(labels, rng.permutation(answers[0]), average="macro", zero_division=0)
        for _ in range(100)
    ]
    error = 3 * np.std(shuffled) / 10
    assert ava.chance_f1(labels, answers, 3) == pytest.approx(np.mean(shuffled), abs=error)


def test_macro_f1_by_epoch_is_that_of_the_network(tmp_path):
    data = tiny_training.images()
    outcome = ava.train(TRAINING, data, tmp_path / "a.checkpoint", ignore)
    assert [row[0] for row in outcome.macro_f1] == [1, 2]
    chosen = torch.linspace(0, 95, 32).round().long()
    for column, part, rows in ((1, "train", chosen), (2, "validation", torch.arange(32))):
        images, labels = data.images[part][rows], data.labels[part][rows]
        answers = loop.predict(outcome.net, data, images).argmax(1)
        macro = sklearn.f1_score(labels, answers, average="macro", zero_division=0)
        assert outcome.macro_f1[-1][column] == pytest.approx(macro)
        accuracy = outcome.history[-1][loop.HISTORY.index(f"{part}_accuracy")]
        assert accuracy == pytest.approx((answers == labels).float().mean().item())


def test_interrupted_training_keeps_every_row(tmp_path):
    data, config = tiny_training.images(), replace(TRAINING, epochs=3)
    whole = ava.train(config, data, tmp_path / "whole.checkpoint", ignore)

    def interrupt(epochs: int, accuracy: float) -> None:
        raise KeyboardInterrupt

    broken, rows = tmp_path / "broken.checkpoint", tmp_path / "broken.macro-f1"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            ava.train(config, data, broken, interrupt)
    stored = json.loads(rows.read_text())
    rows.write_text(json.dumps(stored[:-1]))  # killed after the checkpoint, before its row
    resumed = ava.train(config, data, broken, ignore)
    assert resumed.macro_f1 == whole.macro_f1
    assert not tiny_training.differences(whole, resumed)
    broken.unlink()  # without its checkpoint a run starts anew, whatever lies beside
    assert ava.train(config, data, broken, ignore).macro_f1 == whole.macro_f1


@pytest.mark.parametrize("optimiser", ava.OPTIMISERS)
def test_own_optimisers_drive_the_network_as_torchs(optimiser):
    """Weights after each of four steps; only the order of float32 operations differs."""
    data = tiny_training.images()
    batch = data.normalised(data.images["train"][:16]), data.labels["train"][:16]
    pairs = []
    for make in (ava._torch_optimiser, ava._OwnOptimiser):
        net = nets.build("resnet-8", 4).to(memory_format=torch.channels_last)
        config = replace(STEPS, optimiser=optimiser, weight_decay=0.01)
        pairs.append((net, make(config, net)))
    start = torch.cat([p.detach().flatten() for p in pairs[0][0].parameters()])
    for _ in range(4):
        weights = []
        for net, method in pairs:
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(batch[0]), batch[1]).backward()
            method.step()
            weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        moved = (weights[0] - start).norm()
        assert (weights[0] - weights[1]).norm() < 1e-3 * moved
    assert moved > 0.1


def test_own_and_torch_losses_agree_in_the_results(found):
    own = found.tables["own"]
    assert own.groupby("optimiser").size().to_dict() == {"adam": 4, "adamax": 4}
    np.testing.assert_allclose(own["own_loss"], own["torch_loss"], rtol=1e-3)


def test_spike_changes_nothing_before_it_and_the_scales_after():
    data = tiny_training.images()
    for optimiser, least in (("adam", 30), ("adamax", 1)):
        config = replace(STEPS, optimiser=optimiser)
        calm = ava._measure_steps(config, data)
        hit = ava._measure_steps(replace(config, spike_at=4), data)
        assert hit.losses[:4] == calm.losses[:4]
        assert hit.losses[4:] != calm.losses[4:]
        ratio = np.array(hit.layers)[:, 3] / np.array(calm.layers)[:, 3]
        ratio = ratio.reshape(8, 8)  # steps, layers
        assert np.all(ratio[:3] == 1)
        # √v̂: root mean square of 4 gradients, one of them 100 times larger: at most 100.
        assert np.all((ratio[3] > least) & (ratio[3] <= 100))


def test_first_step_of_both_is_a_full_one():
    """m̂ = g and scale = |g| at t = 1: every weight with a gradient moves by α."""
    data = tiny_training.images()
    for optimiser in ava.OPTIMISERS:
        measured = ava._measure_steps(replace(STEPS, optimiser=optimiser, steps=1), data)
        rms = np.array(measured.layers)[:, 2]
        np.testing.assert_allclose(rms, 1, rtol=1e-2)  # ε and weights without a gradient


def test_measured_steps_are_those_of_the_loop(tmp_path):
    """The same weights, batches and order of operations: the same losses to the bit."""
    data = tiny_training.images()
    for optimiser in ava.OPTIMISERS:
        settings = replace(STEPS, optimiser=optimiser, batch_size=16, schedule="constant", steps=6)
        measured = ava._measure_steps(settings, data)
        trained = ava.train(
            replace(settings, stage="main"), data, tmp_path / f"{optimiser}.checkpoint", ignore
        )
        assert measured.losses == trained.first_losses[:6]


def test_finished_measurement_is_not_repeated(tmp_path, monkeypatch):
    data, path = tiny_training.images(), tmp_path / "a.checkpoint"
    first = ava.train(STEPS, data, path, ignore)
    monkeypatch.setattr(ava, "_measure_steps", None)
    assert ava.train(STEPS, data, path, ignore) == first


def test_tables_of_the_first_steps(found):
    steps, cost = found.tables["steps"], found.tables["cost"]
    assert len(steps) == 2 * 2 * 8 * 8  # methods, kinds, steps, layers
    parameters = sum(p.numel() for p in nets.build("resnet-8", 4).parameters())
    assert cost[["optimiser", "kind"]].values.tolist() == [
        ["adam", "torch"],
        ["adamax", "torch"],
        ["adam", "own"],
        ["adamax", "own"],
    ]
    assert cost["state_bytes"].between(8 * parameters, 8 * parameters + 400).all()  # two float32
    for optimiser in ava.OPTIMISERS:
        shares = found.arrays[f"histogram.{optimiser}"].astype(float)
        assert shares.shape == (3, 8, 40)
        np.testing.assert_allclose(shares.sum(axis=2), 1, atol=2e-3)
    assert found.arrays["histogram_steps"].tolist() == [1, 2, 5]


def test_published_folder(found):
    folder = Path("results/adam_vs_adamax")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1 << 20
    with Image.open(folder / "summary.png") as picture:
        assert len(picture.convert("L").getcolors()) > 100
    assert found.arrays["example_images"].shape == (16, 8, 8, 3)
    epochs = found.tables["epochs"]
    assert not epochs[["train_macro_f1", "validation_macro_f1"]].isna().any(axis=None)
    assert len(epochs) == 4 * 1 + 6 * 2


def test_verify_repeats_the_first_losses(project):
    replays = experiments.verify("adam_vs_adamax")
    assert len(replays) > 6
    assert all(replay.first_difference is None for replay in replays)


def test_no_result_without_one_of_the_methods(project, tmp_path):
    data = tiny_training.images()
    broken = ava.train(replace(TRAINING, lr=1e20), data, tmp_path / "a.checkpoint", ignore)
    good = ava.train(replace(TRAINING, optimiser="adam"), data, tmp_path / "b.checkpoint", ignore)
    with pytest.raises(PixgradError, match="разошлись все прогоны adamax; первый: adamax-1"):
        ava.finish([broken, good], data, tmp_path)


def test_pretrained_weights_are_torchvisions(monkeypatch):
    models = pytest.importorskip("torchvision").models
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = models.resnet18(num_classes=1000).state_dict()
    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", lambda *_, **__: theirs)
    config = replace(TRAINING, network="resnet-18", pretrained=True)
    net = ava._build(config, tiny_training.images(), torch.Generator().manual_seed(1))
    ours = net.state_dict()
    assert ours["fc.weight"].shape == (4, 512)
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if not n.startswith("fc."))

    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", refuse)
    with pytest.raises(PixgradError, match=r"no route to host.*--preset paper"):
        ava._build(config, tiny_training.images(), torch.Generator())
