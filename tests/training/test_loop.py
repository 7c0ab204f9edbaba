"""The training loop against hand-written steps, torch's schedules, and its own promises."""

from __future__ import annotations

import copy
import math
import os
import pickle
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import (
    MEASURES,
    SETTINGS,
    build,
    column,
    differences,
    images,
    in_pieces,
    settings,
    stop,
)
from torch import nn

from pixgrad.errors import PixgradError
from pixgrad.training import evaluation, loop
from pixgrad.training.batches import random_batches
from pixgrad.training.loop import Settings, evenly, fit, learning_rate, predict
from pixgrad.training.scores import measure

DATA = images()
ONE_STEP = settings(epochs=1, batch_size=96, schedule="constant", probe_every=None)
TWO_STEPS = settings(epochs=1, batch_size=48, schedule="constant", probe_every=None)


def bare(generator: torch.Generator) -> nn.Module:
    """A network without batch normalisation."""
    return build(generator, "plain-8", batch_norm=False)


def sgd(weight, grads: list, lr: float, decay: float):
    """w <- w - lr v, v <- 0.9 v + g + decay w."""
    speed = 0
    for grad in grads:
        speed = 0.9 * speed + grad(weight) + decay * weight
        weight = weight - lr * speed
    return weight


def adam(weight, grads: list, lr: float, decay: float):
    """Kingma and Ba (2015), algorithm 1, with the penalty in the gradient."""
    m = v = 0
    for t, grad in enumerate(grads, start=1):
        g = grad(weight) + decay * weight
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        weight = weight - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return weight


def adamax(weight, grads: list, lr: float, decay: float):
    """Kingma and Ba (2015), algorithm 2, with torch's 1e-8 beside |g|."""
    m = u = 0
    for t, grad in enumerate(grads, start=1):
        g = grad(weight) + decay * weight
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g) + 1e-8)
        weight = weight - lr / (1 - 0.9**t) * m / u
    return weight


def first_batches(config: Settings):
    """The network and the batches that a run begins with."""
    generator = torch.Generator().manual_seed(config.seed)
    net = build(generator)
    data = random_batches(DATA, config.batch_size, config.shift, config.flip, generator)
    return net, list(data)


def vector(net: nn.Module) -> np.ndarray:
    """All weights in a row, float64."""
    return torch.cat([weight.detach().flatten() for weight in net.parameters()]).double().numpy()


@pytest.mark.parametrize(
    ("optimiser", "rule", "lr"),
    [("sgd", sgd, 0.05), ("adam", adam, 1e-3), ("adamax", adamax, 2e-3)],
)
@pytest.mark.parametrize("config", [ONE_STEP, TWO_STEPS], ids=["one step", "two steps"])
def test_steps_by_hand(tmp_path, optimiser, rule, lr, config):
    """All weights at once as one float64 vector; gradients by torch.autograd.grad in float32."""
    config = settings(**asdict(config) | {"optimiser": optimiser, "lr": lr, "weight_decay": 1e-2})
    net, batches = first_batches(config)
    parameters = list(net.parameters())

    def gradient(x, y):
        def at(weights: np.ndarray) -> np.ndarray:
            nn.utils.vector_to_parameters(torch.tensor(weights, dtype=torch.float32), parameters)
            loss = -net(x).log_softmax(1)[torch.arange(len(y)), y].mean()
            return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).numpy()

        return at

    start = vector(net)
    expected = rule(start, [gradient(x, y) for x, y in batches], lr, 1e-2)
    outcome = fit(config, build, DATA, tmp_path / "a")
    trained = vector(outcome.net)
    assert outcome.steps == len(batches)
    moved = np.abs(expected - start)
    # Where a gradient is nothing but rounding, its sign decides a step of Adam.
    wrong = np.abs(trained - expected) > 1e-3 * moved + 1e-6
    assert np.mean(wrong) < (1e-4 if optimiser == "sgd" else 2e-3)
    assert np.linalg.norm(trained - expected) < 1e-3 * np.linalg.norm(expected - start)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_by_hand(tmp_path, smoothing):
    config = settings(epochs=1, batch_size=36, lr=0.0, label_smoothing=smoothing)
    net, batches = first_batches(config)
    expected = []
    for x, y in batches:  # batch statistics of float64 copies; weights never move
        logits = copy.deepcopy(net).double()(x.double()).detach().numpy()
        log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        target = np.full_like(log, smoothing / 4)
        target[np.arange(len(y)), y] += 1 - smoothing
        expected.append(-np.mean((target * log).sum(axis=1)))
    outcome = fit(config, build, DATA, tmp_path / "a")
    np.testing.assert_allclose(outcome.first_losses, expected, rtol=1e-5)
    weights = [len(y) / 96 for _, y in batches]
    assert weights == [36 / 96, 36 / 96, 24 / 96]
    assert column(outcome, "running_loss")[0] == pytest.approx(np.dot(weights, expected), rel=1e-5)


def test_measures_of_an_epoch_by_hand(tmp_path):
    outcome = fit(settings(epochs=2), build, DATA, tmp_path / "a")
    net = copy.deepcopy(outcome.net).double().eval()
    last = outcome.last
    for part, index in (("train", np.rint(np.linspace(0, 95, 32))), ("validation", np.arange(32))):
        x = DATA.normalised(DATA.images[part][index.astype(int)]).double()
        logits = net(x).detach().numpy()
        y = DATA.labels[part][index.astype(int)].numpy()
        log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        assert last[f"{part}_loss"] == pytest.approx(-log[np.arange(32), y].mean(), rel=1e-5)
        assert last[f"{part}_accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == y))
    assert (last["epoch"], outcome.status, outcome.steps) == (2, "done", 12)


def test_it_learns(tmp_path):
    outcome = fit(SETTINGS, build, DATA, tmp_path / "a")
    loss = column(outcome, "running_loss")
    assert loss[-1] < 0.5 < 1 < loss[0]
    assert column(outcome, "validation_accuracy")[-1] > 0.9


def test_schedules_against_torch():
    epochs, steps = 6, 5
    for name, make in (
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, epochs * steps)),
        ("step", lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [15, 23])),  # ceil(3/4 * 30)
        ("constant", lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
    ):
        config = Settings(seed=0, epochs=epochs, lr=0.3, schedule=name)
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.lr)
        scheduler = make(optimiser)
        for step in range(epochs * steps):
            expected = optimiser.param_groups[0]["lr"]
            assert learning_rate(config, step / steps) == pytest.approx(expected, abs=1e-12)
            optimiser.step()
            scheduler.step()


def test_warm_up_is_linear_then_the_schedule():
    config = Settings(seed=0, epochs=10, lr=0.4, schedule="constant", warmup_epochs=2.0)
    rates = [learning_rate(config, progress) for progress in (0, 0.5, 1, 1.5, 2, 9)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4])
    config = Settings(seed=0, epochs=10, lr=0.4, warmup_epochs=2.0)
    assert learning_rate(config, 5) == pytest.approx(0.2)
    assert learning_rate(config, 10) == pytest.approx(0)


def test_the_rate_is_that_of_the_share_of_images_seen(tmp_path):
    config = settings(epochs=3, batch_size=40)  # steps begin at 0, 40/96, 80/96 of an epoch
    outcome = fit(config, build, DATA, tmp_path / "a")
    expected = [0.05 * (1 + math.cos(math.pi * (epoch + 80 / 96) / 3)) / 2 for epoch in range(3)]
    assert column(outcome, "lr") == pytest.approx(expected)


def test_early_stopping_counts_epochs_without_a_better_loss(tmp_path):
    config = settings(epochs=9, lr=0.0, batch_size=96, patience=2, shift=0)
    outcome = fit(config, bare, DATA, tmp_path / "a")
    assert (outcome.status, len(outcome.history)) == ("done", 3)  # one best, two no better
    assert len(set(column(outcome, "validation_loss"))) == 1
    resumed = in_pieces(lambda on_epoch: fit(config, bare, DATA, tmp_path / "b", on_epoch), 2)
    assert not differences(outcome, resumed)
    patient = settings(epochs=4, patience=2)
    assert len(fit(patient, build, DATA, tmp_path / "c").history) == 4  # it goes on getting better


def test_predict_is_the_network_in_evaluation_mode(monkeypatch):
    net = build(torch.Generator().manual_seed(0))
    net(DATA.normalised(DATA.images["train"]))  # running statistics of their own
    before = copy.deepcopy(net.state_dict())
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 30)
    logits = predict(net, DATA, DATA.images["train"])
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    x = (DATA.images["train"].double() - DATA.mean.double()[:, None, None]) / DATA.std.double()[
        :, None, None
    ]
    expected = copy.deepcopy(net).double().eval()(x)
    assert (logits.shape, logits.dtype) == ((96, 4), torch.float32)
    torch.testing.assert_close(logits.double(), expected.detach(), rtol=1e-4, atol=1e-5)
    assert not predict(net.eval(), DATA, DATA.images["test"]).requires_grad
    assert not net.training


def test_interrupted_run_ends_with_the_same_bits(tmp_path):
    whole = fit(SETTINGS, build, DATA, tmp_path / "whole")
    resumed = in_pieces(lambda on_epoch: fit(SETTINGS, build, DATA, tmp_path / "b", on_epoch), 4)
    assert not differences(whole, resumed)
    assert (len(whole.history), whole.steps, len(whole.first_losses)) == (4, 24, 6)
    assert len(whole.probed) == 8 * 8  # every third of 24 steps, 8 layers
    other = fit(settings(seed=2), build, DATA, tmp_path / "other")
    assert {"config", "history", "fc.weight"} <= set(differences(whole, other))


def test_first_losses_are_those_of_the_run(tmp_path):
    outcome = fit(SETTINGS, build, DATA, tmp_path / "a")
    assert loop.TorchRun(SETTINGS, build, DATA).first_losses(20) == outcome.first_losses
    assert loop.TorchRun(SETTINGS, build, DATA).first_losses(2) == outcome.first_losses[:2]


def test_neither_the_global_generator_nor_the_images_are_touched(tmp_path):
    before, pixels = torch.get_rng_state(), DATA.images["train"].clone()
    fit(settings(epochs=1, recalibrate=40), build, DATA, tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(DATA.images["train"], pixels)


def test_divergence_is_a_result(tmp_path):
    config = settings(lr=1e30)
    outcome = fit(config, build, DATA, tmp_path / "a")
    assert outcome.status == "diverged"
    step = f"обучение: функция потерь на шаге {outcome.steps + 1} равна"
    assert re.fullmatch(step + r" (nan|inf); уменьшите .*1e\+30\)", outcome.message)
    assert (outcome.history, outcome.last, outcome.steps) == ([], {}, len(outcome.first_losses))
    assert all(math.isfinite(loss) for loss in outcome.first_losses)
    again = fit(config, build, DATA, tmp_path / "a")  # from the checkpoint
    assert not differences(again, outcome)
    assert (
        loop.TorchRun(config, build, DATA).first_losses(20) == outcome.first_losses
    )  # and no error


def test_epochs_before_a_divergence_stay(tmp_path):
    nets = []

    def keep(generator: torch.Generator) -> nn.Module:
        nets.append(build(generator))
        return nets[-1]

    def spoil(epochs: int, accuracy: float) -> None:
        nets[-1].fc.weight.data.fill_(math.nan)

    fit(SETTINGS, keep, DATA, tmp_path / "a", spoil)
    outcome = fit(SETTINGS, build, DATA, tmp_path / "a")
    assert "на шаге 7 равна nan" in outcome.message
    assert (outcome.status, outcome.steps, len(outcome.history)) == ("diverged", 6, 1)
    assert {row[0] for row in outcome.probed} == {1}  # the broken step has no row


def test_checkpoint_of_other_settings_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, build, DATA, tmp_path / "a", stop)
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(PixgradError, match=r"другие настройки; начните заново с --fresh"):
        fit(settings(lr=0.06), build, DATA, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


def test_unreadable_checkpoints_are_one_clear_line(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, build, DATA, path, stop)
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    broken = [whole[: len(whole) * part // 8] for part in range(8)]
    broken += [b"not a checkpoint", pickle.dumps({"config": 1}, 2), whole[:2000] + whole[2001:]]
    for changes in ({"net": {}}, {"optimiser": {}}, {"generator": torch.zeros(3)}):
        torch.save(state | changes, path)
        broken.append(path.read_bytes())
    torch.save([1, 2], path)
    broken.append(path.read_bytes())
    for raw in broken:
        path.write_bytes(raw)
        with pytest.raises(PixgradError) as caught:
            fit(SETTINGS, build, DATA, path)
        message = str(caught.value)
        assert message.startswith(f"{path}: контрольная точка не читается (")
        assert message.endswith("удалите её или начните заново с --fresh")
        assert "\n" not in message
        assert path.read_bytes() == raw


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path):
    """/dev/full refuses every byte with ENOSPC, as a full disk does."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    whole = fit(SETTINGS, build, DATA, tmp_path / "whole")
    path = tmp_path / "a"
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, build, DATA, path, stop)
    before = path.read_bytes()
    (tmp_path / f".a.{os.getpid()}.pixgrad-tmp").symlink_to("/dev/full")
    with pytest.raises(PixgradError) as caught:
        fit(SETTINGS, build, DATA, path)
    expected = f"не записать контрольную точку {path} (No space left on device); прежняя цела"
    assert str(caught.value).startswith(expected)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "whole"]
    assert not differences(whole, fit(SETTINGS, build, DATA, path))


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PixgradError, match=r"не записать контрольную точку .*(Not a dir|exists)"):
        fit(settings(epochs=1), build, DATA, tmp_path / "file" / "a")


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        (
            {"optimiser": "lion"},
            "resnet-8",
            "нет метода оптимизации «lion»; есть: sgd, adam, adamax",
        ),
        ({}, "resnet-9", "нет сети «resnet-9»"),
        (
            {"precision": "16-mixed"},
            "resnet-8",
            "измерять градиенты при точности «16-mixed» нельзя",
        ),
        ({"compiled": True}, "resnet-8", "измерять градиенты скомпилированной сети нельзя"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, changes, name, message):
    with pytest.raises(PixgradError, match=message):
        fit(settings(**changes), lambda g: build(g, name), DATA, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_bfloat16_mixed_precision_learns(tmp_path):
    outcome = fit(settings(precision="bf16-mixed"), build, DATA, tmp_path / "a")
    assert column(outcome, "running_loss")[-1] < column(outcome, "running_loss")[0] / 2
    assert all(weight.dtype == torch.float32 for weight in outcome.net.parameters())


def test_tensorboard_gets_the_history_of_an_interrupted_run(tmp_path):
    event = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config, log = settings(epochs=3, recalibrate=50), tmp_path / "logs" / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(config, build, DATA, tmp_path / "a", stop, log_dir=log)
    written = event.EventAccumulator(str(log)).Reload()
    assert len(written.Scalars("train_loss")) == 1  # at once, not when the process ends
    outcome = fit(config, build, DATA, tmp_path / "a", log_dir=log)
    written = event.EventAccumulator(str(log)).Reload()
    assert set(written.Tags()["scalars"]) == {*MEASURES, *(f"raw_{name}" for name in MEASURES[2:])}
    for name in written.Tags()["scalars"]:
        scalars = written.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        np.testing.assert_allclose([s.value for s in scalars], column(outcome, name), rtol=1e-6)
    plain = fit(config, build, DATA, tmp_path / "b")
    assert not differences(outcome, plain)


def test_scores_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    answers, given = logits.argmax(axis=1), (torch.from_numpy(logits), torch.from_numpy(labels))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = {
        "loss": metrics.log_loss(labels, probability, labels=range(4)),
        "accuracy": metrics.accuracy_score(labels, answers),
        "macro_f1": metrics.f1_score(
            labels, answers, labels=range(4), average="macro", zero_division=0
        ),
    }
    found = measure("softmax", list(expected), *given)
    assert found == pytest.approx(expected)


def test_history_has_the_scores_that_were_asked_for(tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    outcome = fit(settings(epochs=1), build, DATA, tmp_path / "a", scores=["macro_f1"])
    assert list(outcome.last) == ["epoch", *MEASURES[:2], "train_macro_f1", "validation_macro_f1"]
    answers = predict(outcome.net, DATA, DATA.images["validation"]).argmax(1)
    macro = metrics.f1_score(DATA.labels["validation"], answers, average="macro", zero_division=0)
    assert outcome.last["validation_macro_f1"] == pytest.approx(macro)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(9, 5, [0, 2, 4, 6, 8]), (3, 8, [0, 1, 2]), (10, 2, [0, 9]), (4, 1, [0])],
)
def test_evenly(total, count, expected):
    assert evenly(total, count).tolist() == expected
