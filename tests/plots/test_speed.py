"""Tables and sentences on speed: a difference is told only where the printed quartiles show one."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pixgrad.plots import speed

NBSP = "\N{NO-BREAK SPACE}"


def timing(ratio: float, spread: float = 0.05) -> dict[str, float]:
    spread = 0 if ratio == 1 else spread
    return {"ratio": ratio, "ratio_low": ratio - spread, "ratio_high": ratio + spread}


@pytest.fixture
def summary() -> pd.DataFrame:
    """NumPy takes three times as long as PyTorch; compiling the second network failed."""
    times = {
        ("lenet", "numpy"): (3.0, timing(3.0)),
        ("lenet", "torch"): (1.0, timing(1)),
        ("lenet", "torch-channels-last"): (0.97, timing(0.97, 0.0294)),  # up to 0.9994
        ("resnet-50", "torch"): (2.0, timing(1)),
        ("resnet-50", "torch-compile"): (np.nan, timing(np.nan)),
        ("resnet-50", "torch-channels-last"): (1.0, timing(0.5)),
    }
    shares = {"forward": 0.25, "backward": 0.5, "step": 0.25, "total": 1}
    return pd.DataFrame(
        {"network": network, "implementation": name, "part": part, "ms": share * ms, **ratios}
        for (network, name), (ms, ratios) in times.items()
        for part, share in shares.items()
    )


def optimisers(ratio: float) -> pd.DataFrame:
    rows = (("adam", 1), ("adamax", ratio))
    columns = {"implementation": "torch", "ms": 50.0, "ms_low": 49.0, "ms_high": 51.0}
    return pd.DataFrame({"optimiser": name, **columns, **timing(of)} for name, of in rows)


def test_step_table_has_a_row_an_implementation(summary):
    made = summary[summary["part"] == "total"].assign(images_s=64_000 / summary["ms"])
    rows = speed.step_table(summary, made, "lenet").data.splitlines()[2:]
    assert rows[0] == (
        f"| NumPy, наш код | 0,75 | 1,50 | 0,75 | 3,00 | 21{NBSP}333 | 3,00 (2,95–3,05) |"
    )
    assert rows[1] == f"| PyTorch | 0,25 | 0,50 | 0,25 | 1,00 | 64{NBSP}000 | 1 |"
    failed = speed.step_table(summary, made, "resnet-50").data.splitlines()[3]
    assert failed == "| PyTorch, torch.compile | — | — | — | — | — | — |"


def test_optimiser_table_names_method_and_implementation():
    rows = speed.optimiser_table(optimisers(0.6)).data.splitlines()[2:]
    assert rows == [
        "| Adam, PyTorch | 50,0 (49,0–51,0) | 1 |",
        "| AdaMax, PyTorch | 50,0 (49,0–51,0) | 0,60 (0,55–0,65) |",
    ]


def test_verdicts_need_quartiles_that_leave_one_out_as_printed(summary):
    assert speed.verdicts(summary, optimisers(0.98)) == [
        "Шаг обучения LeNet на NumPy занимает в 3,0 раза больше времени, чем на PyTorch "
        "(отношение 3,00, квартили 2,95–3,05).",
        "Быстрейший из остальных способов PyTorch для LeNet — «PyTorch, channels last»: шаг "
        "занимает столько же времени, сколько обычный, в пределах разброса "
        "(отношение 0,97, квартили 0,94–1,00).",
        "Быстрейший из остальных способов PyTorch для ResNet-50 — «PyTorch, channels last»: шаг "
        "занимает в 2,0 раза меньше времени, чем обычный (отношение 0,50, квартили 0,45–0,55).",
        "Сам AdaMax в PyTorch тратит на шаг столько же времени, сколько Adam, в пределах разброса "
        "(отношение 0,98, квартили 0,93–1,03).",
    ]
    assert "в 1,67 раза меньше времени, чем Adam" in speed.verdicts(summary, optimisers(0.6))[-1]


def test_bars_are_stacked_and_leave_out_what_failed(summary):
    figure, ax = plt.subplots()
    speed.step_bars(ax, summary, "resnet-50")
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert ends == [(0, 0.5), (0, 0.25), (0.5, 1.5), (0.25, 0.75), (1.5, 2), (0.75, 1)]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["PyTorch", "PyTorch, channels last"]
    plt.close(figure)
