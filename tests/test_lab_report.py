"""The report of the laboratory work: numbers of the results, honest verdicts, links that lead."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
stats = pytest.importorskip("scipy.stats")
pytest.importorskip("matplotlib")

from PIL import Image  # noqa: E402

from pixgrad import cli, lab_report, results  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.results.records import Record, Run  # noqa: E402

ROOT = Path(__file__).parents[1]
SEEDS, EPOCHS = (1, 2, 3), 8
LEAST = 0.013
"""The detectable difference of the made-up comparison."""


def record(experiment: str, configs: list[dict]) -> Record:
    runs = [
        Run(
            name=f"run-{number}",
            seed=config.get("seed", 0),
            config=config,
            status="done",
            steps=96,
            wall_s=60.0,
            cpu_s=60.0,
            first_losses=[],
            metrics={},
        )
        for number, config in enumerate(configs)
    ]
    return Record(
        experiment=experiment,
        preset="report",
        seeds=list(SEEDS),
        data="source",
        data_fingerprint={},
        git_commit="unknown",
        code_digest="",
        versions={},
        device="Processor",
        threads=1,
        wall_s=7200.0,
        runs=runs,
    )


def mnist() -> results.Results:
    rng = np.random.default_rng(0)
    networks = {"relu": 55_000, "sigmoid": 10_000}
    epochs = pd.DataFrame(
        {"network": network, "seed": seed, "epoch": epoch, **curve(rng, epoch)}
        for network in networks
        for seed in SEEDS
        for epoch in range(1, EPOCHS + 1)
    )
    accuracies = ("train_accuracy", "validation_accuracy", "test_accuracy")
    summary = pd.DataFrame(
        {"network": network, "seed": seed} | {name: rng.uniform(0.9, 1) for name in accuracies}
        for network in networks
        for seed in SEEDS
    )
    configs = [
        {"network": network, "epochs": EPOCHS, "train_images": images}
        for network, images in networks.items()
    ]
    return results.Results(record("mnist", configs), {"epochs": epochs, "summary": summary}, {})


def curve(rng: np.random.Generator, epoch: int) -> dict[str, float]:
    """One row of an epoch: losses fall, accuracies grow."""
    row = {f"{part}_loss": rng.uniform(1, 1.1) / epoch for part in ("train", "validation")}
    row["running_loss"] = rng.uniform(1, 1.1) / epoch
    for measure in ("accuracy", "macro_f1"):
        row |= {f"{part}_{measure}": 1 - 0.5 / epoch for part in ("train", "validation")}
    return row


def cars(difference: float, half: float) -> results.Results:
    """Adam less AdaMax on the test is ``difference`` ± ``half`` by both measures."""
    rng = np.random.default_rng(1)
    epochs = pd.DataFrame(
        {"stage": "main", "optimiser": optimiser, "seed": seed, "epoch": epoch} | curve(rng, epoch)
        for optimiser in ("adam", "adamax")
        for seed in SEEDS
        for epoch in range(1, EPOCHS + 1)
    )
    sweep = pd.DataFrame(
        {"optimiser": optimiser, "rate": rate, "validation_loss": 1 + rate, "chosen": rate == 0.001}
        for optimiser in ("adam", "adamax")
        for rate in (0.001, 0.002)
    )
    measures = ("train_accuracy", "validation_accuracy", "test_accuracy", "test_macro_f1")
    summary = pd.DataFrame(
        {"optimiser": optimiser, "seed": seed, "rate": 0.001}
        | {name: rng.uniform(0.4, 0.5) for name in measures}
        for optimiser in ("adam", "adamax")
        for seed in SEEDS
    )
    rows = []
    for metric in ("accuracy", "macro_f1"):
        for of in ("adam", "adamax"):
            rows.append((metric, of, "images", 0.45, 0.4, 0.5, 0.2, np.nan))
        for over in ("images", "seeds"):
            ends = (difference, difference - half, difference + half)
            rows.append((metric, "difference", over, *ends, np.nan, LEAST))
    columns = ["metric", "of", "over", "estimate", "low", "high", "chance", "detectable"]
    tables = {
        "epochs": epochs,
        "sweep": sweep,
        "summary": summary,
        "comparison": pd.DataFrame(rows, columns=columns),
    }
    shared = {"network": "resnet-50", "side": 32, "epochs": EPOCHS, "batch_size": 32}
    configs = [
        shared | {"stage": "main", "optimiser": optimiser, "seed": seed}
        for optimiser in ("adam", "adamax")
        for seed in SEEDS
    ]
    arrays = {"names": np.array(["Coupe", "SUV"]), "labels": np.zeros(40, int)}
    return results.Results(record("adam_vs_adamax", configs), tables, arrays)


def speed() -> results.Results:
    """NumPy takes three times as long as PyTorch; compiling the second network fails."""
    times = {("lenet", "numpy"): 3.0, ("lenet", "torch"): 1.0, ("resnet-50", "torch"): 2.0}
    times[("resnet-50", "torch-compile-channels-last")] = np.nan
    summary, made = [], []
    for (network, name), whole in times.items():
        parts = {"forward": whole / 4, "backward": whole / 2, "step": whole / 4, "total": whole}
        for part, ms in parts.items():
            summary.append(
                {"network": network, "implementation": name, "part": part, "ms": ms}
                | timing(whole if network == "lenet" else 1.0)
            )
        is_done = not np.isnan(whole)
        made.append(
            {
                "network": network,
                "implementation": name,
                "batch_size": 64,
                "status": "done" if is_done else "failed",
                "message": "" if is_done else "no C++ compiler",
                "images_s": 64_000 / whole,
                "compile_s": np.nan,
                "loss_difference": 2e-7,
            }
        )
    optimisers = [
        {"network": "resnet-50", "optimiser": name, "implementation": "torch", "ms": 50.0}
        | {"ms_low": 49.0, "ms_high": 51.0}
        | timing(ratio)
        for name, ratio in (("adam", 1.0), ("adamax", 0.98))
    ]
    tables = {
        "summary": pd.DataFrame(summary),
        "implementations": pd.DataFrame(made),
        "optimisers": pd.DataFrame(optimisers),
    }
    return results.Results(record("speed", [{}]), tables, {})


def timing(ratio: float) -> dict[str, float]:
    spread = 0.0 if ratio == 1 else 0.05
    return {"ratio": ratio, "ratio_low": ratio - spread, "ratio_high": ratio + spread}


def found(difference: float = 0.01, half: float = 0.02) -> lab_report.Found:
    return lab_report.Found(mnist(), cars(difference, half), speed())


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return lab_report.render(found())


@pytest.fixture(scope="module")
def readme(files) -> str:
    return files["README.md"].decode()


def test_same_results_give_the_same_bytes(files):
    assert lab_report.render(found()) == files


def test_without_a_difference_there_is_no_winner(readme):
    assert "По macro F1 на тесте разницы не видно: Adam − AdaMax = 0,010" in readme
    assert "заметили бы разность 0,013 и больше" in readme
    assert "разность 1,3\xa0п.\xa0п. и больше" in readme
    assert "на тесте лучше" not in readme


@pytest.mark.parametrize(("difference", "best"), [(0.03, "Adam"), (-0.03, "AdaMax")])
def test_a_winner_needs_an_interval_without_zero(difference, best):
    said = lab_report.render(found(difference))["README.md"].decode()
    assert f"По доле верных ответов на тесте лучше {best}: Adam − AdaMax = " in said
    assert f"По macro F1 на тесте лучше {best}" in said
    assert "на тесте разницы не видно" not in said


def test_convergence_counts_epochs_of_the_paired_t_test(readme):
    epochs = found().cars.tables["epochs"]
    for column, part in (("running_loss", "обучение"), ("validation_loss", "проверка")):
        wide = epochs.pivot(index=["epoch", "seed"], columns="optimiser", values=column)
        tests = [stats.ttest_rel(of["adam"], of["adamax"]) for _, of in wide.groupby("epoch")]
        better = {
            "Adam": sum(test.pvalue < 0.05 and test.statistic < 0 for test in tests),
            "AdaMax": sum(test.pvalue < 0.05 and test.statistic > 0 for test in tests),
        }
        counts = [f"в {count} меньше у {name}" for name, count in better.items() if count]
        expected = f"{part} — разница видна в {sum(better.values())} из 8\xa0эпох"
        if counts:
            assert f"{expected} ({', '.join(counts)})" in readme
        else:
            assert f"{part} — разницы не видно ни в одной из 8\xa0эпох" in readme


def test_numbers_are_those_of_the_results(readme):
    for numbers, digits in (
        (found().mnist.tables["summary"].groupby("network")["test_accuracy"], 2),
        (found().cars.tables["summary"].groupby("optimiser")["test_accuracy"], 1),
    ):
        for _, values in numbers:
            assert f"{100 * values.mean():.{digits}f}".replace(".", ",") in readme
    assert "8\xa0эпох" in readme
    assert "55\xa0000\xa0цифр" in readme
    assert "40\xa0фотографий" in readme
    assert "32×32" in readme


def test_speed_in_words_and_numbers(readme):
    assert "в 3,0 раза больше времени, чем PyTorch (отношение 3,00 (2,95–3,05))" in readme
    assert "| PyTorch | 0,25 | 0,50 | 0,25 | 1,00 | 64\xa0000 | 1 |" in readme
    assert "AdaMax в PyTorch занимает столько же времени, сколько шаг Adam" in readme
    failed = "ResNet-50, PyTorch, torch.compile, channels last"
    assert f"Не измерено: {failed}: `no C++ compiler`" in readme


def test_links_pictures_and_anchors_lead_somewhere(files, readme):
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", readme, re.MULTILINE)}
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(targets) > 20
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert target in files or (ROOT / lab_report.FOLDER / target).resolve().exists(), target


def anchor(heading: str) -> str:
    """GitHub's: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_markdown_that_github_understands(readme):
    assert "{{" not in readme
    assert readme.count("$$") % 2 == 0
    for formula in re.findall(r"\$\$(.*?)\$\$", readme, re.DOTALL):
        assert not re.search(r"\\[^A-Za-z]", formula), "GitHub reads it as an escape"
        assert formula.count("{") == formula.count("}")
    for block in re.findall(r"(?:^\|.*\n)+", readme, re.MULTILINE):
        assert len({row.count("|") for row in block.splitlines()}) == 1
    numbers = re.findall(r"^\*(Таблица|Рисунок) (\d+)", readme, re.MULTILINE)
    for kind in ("Таблица", "Рисунок"):
        mine = [int(number) for name, number in numbers if name == kind]
        assert mine == [*range(1, len(mine) + 1)]
    assert not re.search(r'"[А-Яа-я]|[А-Яа-я]"', readme)


def test_pictures_are_drawn_and_small(files):
    pictures = {name: raw for name, raw in files.items() if name.endswith(".png")}
    assert set(pictures) == {"mnist.png", "rates.png", "curves.png", "speed.png"}
    assert sum(map(len, pictures.values())) < 300_000
    for raw in pictures.values():
        with Image.open(io.BytesIO(raw)) as picture:
            assert not picture.info.keys() & {"Software", "Creation Time"}
            assert len(picture.convert("L").getcolors()) > 30


def test_one_common_seed_is_refused():
    one = cars(0.01, 0.02)
    epochs = one.tables["epochs"]
    alone = results.Results(one.record, one.tables | {"epochs": epochs.query("seed == 1")}, {})
    with pytest.raises(PixgradError, match="нужны два общих зерна"):
        lab_report._convergence(alone)


def test_the_command_names_results_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pixgrad", "lab-report", "--project", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert "нет результатов «mnist»" in caught.value.code
    assert "\n" not in caught.value.code
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_folder(tmp_path, monkeypatch, capsys, files):
    made = {"mnist": mnist(), "adam_vs_adamax": cars(0.01, 0.02), "speed": speed()}
    monkeypatch.setattr(results, "load", lambda name, root: made[name])
    monkeypatch.setattr(sys, "argv", ["pixgrad", "lab-report", "--project", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    folder = tmp_path / "reports/lab1"
    assert capsys.readouterr().out == f"Отчёт: {folder / 'README.md'}\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_the_committed_report_is_that_of_the_committed_results():
    folder = ROOT / lab_report.FOLDER
    absent = [name for name in lab_report.EXPERIMENTS if not (ROOT / "results" / name).is_dir()]
    if absent or not folder.is_dir():
        pytest.skip(f"not committed yet: {', '.join(absent) or lab_report.FOLDER}")
    files = lab_report.render(lab_report.load(ROOT))
    assert {path.name for path in folder.iterdir()} == set(files)
    for name, raw in files.items():
        committed = (folder / name).read_bytes()
        if name == "README.md":
            assert committed == raw
            continue
        with Image.open(io.BytesIO(committed)) as old, Image.open(io.BytesIO(raw)) as new:
            # Another Matplotlib may draw a pixel otherwise; other numbers move whole curves.
            assert old.size == new.size
            pair = [np.asarray(one.convert("L"), dtype=float) for one in (old, new)]
        assert np.abs(pair[0] - pair[1]).mean() < 0.5
