"""Living figures in a real browser, in the embedded engine's page and in one like Quarto's."""

import functools
import http.server
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny_books
from PIL import Image

from pixgrad import backprop as bp
from pixgrad.backprop import trajectories
from pixgrad.book.rendering import html_engine
from pixgrad.book.source import project as books
from pixgrad.nets.receptive import Field
from pixgrad.plots import gradients, living
from pixgrad.plots.living import layers, matches, receptive
from pixgrad.views import judging

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCRIPTS = Path(__file__).parent.parent.parent / "chapters" / "living"
if CHROMIUM is None:
    pytest.skip("нет Chromium (Debian: apt install chromium)", allow_module_level=True)

RATES = {"sgd": 0.01, "momentum": 0.003, "adam": 0.1, "adamax": 0.1}
RAVINE = {
    "condition": 100, "start": [-2, 0.5], "tolerance": 1e-3, "budget": 5000,
    "x": [-2.4, 1.2], "y": [-1, 1], "rates": RATES,
}  # fmt: skip
IMAGE = np.random.default_rng(0).integers(0, 10, (7, 7))
KERNEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
CONVOLUTION = {
    "image": IMAGE.tolist(), "kernel": KERNEL.tolist(),
    "stride": 2, "padding": 1, "dilation": 1, "place": [2, 0],
}  # fmt: skip

FIELDS = {
    "одна": (16, {"a": Field().after(3, 1, 1), "b": Field().after(3, 1, 1).after(2, 2)}),
    "другая": (8, {"c": Field().after(5, 1, 2).after(5, 2, 2)}),
}


def table_of_norms() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        (depth, skip, True, "he", "relu", seed, epoch, layer, 10 ** rng.uniform(-3, 3))
        for depth in (8, 56)
        for skip in (False, True)
        for seed in (1, 2)
        for epoch in range(3)
        for layer in range(1, depth + 1)
    ]
    names = ["depth", "skip", "batch_norm", "init", "activation", "seed", "epoch", "layer"]
    return pd.DataFrame(rows, columns=[*names, "grad_norm"])


def payloads() -> dict[str, dict]:
    """One figure of each kind."""
    photo = living.picture(np.random.default_rng(2).integers(0, 255, (90, 120), dtype=np.uint8))
    rng = np.random.default_rng(3)
    points = [
        {
            "x": x, "y": 45, "size": 8, "angle": 79.0,
            "votes": rng.integers(0, 101, 36).tolist(),
            "descriptor": rng.integers(0, 150, 128).tolist(),
        }
        for x in (20, 60, 100)
    ]  # fmt: skip
    ends = {name: rng.integers(0, 90, 50).tolist() for name in ("x1", "y1", "x2", "y2")}
    return {
        "ravine": RAVINE,
        "convolution": CONVOLUTION,
        "gradients": layers.payload(table_of_norms()),
        "keypoints": {"photo": photo, "points": points},
        "receptive": receptive.payload(FIELDS),
        "matches": {
            "threshold": 0.8, "photos": [photo, photo], **ends,
            "ratio": rng.integers(400, 1000, 50).tolist(),
            "flags": rng.choice([0, 2, 3], 50).tolist(),
        },
    }  # fmt: skip


KINDS = ("ravine", "convolution", "gradients", "keypoints", "matches", "receptive")
QUARTO_FIGURE = """
<div id="cell-fig-{kind}" class="cell" data-execution_count="1">
<div class="cell-output cell-output-display">
<div id="fig-{kind}" class="quarto-float quarto-figure quarto-figure-center anchored">
<figure class="quarto-float quarto-float-fig figure">
<div aria-describedby="fig-{kind}-caption-0ceaefa1-69ba-4598-a22c-09a6ac19f8ca">
<img src="../p.png" class="img-fluid figure-img" alt="Неподвижный рисунок">
</div>
<figcaption class="quarto-float-caption-bottom quarto-float-caption quarto-float-fig"
 id="fig-{kind}-caption-0ceaefa1-69ba-4598-a22c-09a6ac19f8ca">Рисунок&nbsp;1.1: Подпись</figcaption>
</figure></div></div></div>
<div id="cell-2" class="cell"><div class="cell-output cell-output-display">
{data}
</div></div>
"""
QUARTO_PAGE = """<!DOCTYPE html><html lang="ru"><head><meta charset="utf-8"><title>Проба</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ --bs-body-color: #dee2e6; --bs-body-bg: #222; }}
body {{ background: var(--bs-body-bg); color: var(--bs-body-color); }}</style>
<link rel="icon" href="data:,"></head>
<body class="nav-sidebar floating quarto-dark"><main id="quarto-document-content">
<h1>Проба</h1>{}</main></body></html>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """``chapters/ours.html`` by the embedded engine, ``quarto.html`` as Quarto writes it."""
    root = tmp_path_factory.mktemp("book")
    made = {kind: living.data(f"fig-{kind}", kind, one) for kind, one in payloads().items()}
    text = "# Рисунки\n" + "".join(
        f'\n![Подпись](../p.png){{#fig-{kind} fig-alt="Неподвижный рисунок"}}\n'
        f"\n```{{=html}}\n{one._repr_html_()}\n```\n"
        for kind, one in made.items()
    )
    tiny_books.write_book(root, {"chapters/ours.qmd": text, "chapters/next.qmd": "# Дальше\n"})
    shutil.copytree(SCRIPTS, root / "chapters" / "living")
    Image.new("L", (300, 200), 128).save(root / "p.png")
    out = root / "_book"
    out.mkdir()
    html_engine.build_html(books.load(root), out)
    figures = "".join(QUARTO_FIGURE.format(kind=k, data=v._repr_html_()) for k, v in made.items())
    (out / "chapters" / "quarto.html").write_text(QUARTO_PAGE.format(figures), "utf-8")
    return out


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address):
    """Opens a page in a new context; in the end nothing may stand in its console."""
    contexts, trouble = [], []

    def opened(name="ours", address=address, **options):
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and trouble.append(m.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda r: is_foreign(r.url) and trouble.append(r.url))
        page.goto(f"{address}/chapters/{name}.html")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def said(page, kind: str) -> str:
    return page.locator(f"#fig-{kind} .living-readout").inner_text()


def still(page, kind: str):
    return page.locator(f"#fig-{kind} img[alt='Неподвижный рисунок']")


@pytest.mark.parametrize("name", ["ours", "quarto"])
def test_every_figure_comes_to_life(visit, name):
    page = visit(name)
    for kind in KINDS:
        figure = page.locator(f"#fig-{kind}")
        assert figure.locator("figcaption").is_visible()
        assert figure.locator(".living svg").first.is_visible()
        assert not still(page, kind).is_visible()
        assert said(page, kind)


@pytest.mark.parametrize("name", ["ours", "quarto"])
def test_figures_live_from_disk(browser, site, name):
    page, trouble = browser.new_page(), []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or trouble.append(r.url))
    page.goto((site / "chapters" / f"{name}.html").as_uri())
    assert all(said(page, kind) for kind in KINDS)
    assert page.locator(".living").first.evaluate("e => getComputedStyle(e).hyphens") == "manual"
    page.close()
    assert trouble == []


@pytest.mark.parametrize("name", ["ours", "quarto"])
def test_without_javascript_and_on_paper_the_still_picture_stays(visit, name):
    page = visit(name, java_script_enabled=False)
    assert all(still(page, kind).is_visible() for kind in KINDS)
    page = visit(name)
    page.emulate_media(media="print")
    assert all(still(page, kind).is_visible() for kind in KINDS)
    assert not page.locator(".living:visible").count()


def test_the_still_picture_stays_where_the_data_are_broken(visit):
    page = visit()
    page.evaluate("console.error = () => {}")
    page.evaluate(
        """() => {
          const script = document.querySelector('script.living[data-kind=ravine]');
          document.querySelector('#fig-ravine .living').remove();
          document.querySelector('#fig-ravine img').classList.remove('living-still');
          delete script.dataset.done;
          script.dataset.payload = '{"rates":';
          living.figure('ravine', () => { throw new Error('unreachable'); });
        }"""
    )
    assert still(page, "ravine").is_visible()
    assert page.locator("#fig-ravine .living").count() == 0


@pytest.mark.parametrize(
    ("theme", "name", "width"),
    [("light", "ours", 1440), ("dark", "ours", 390), ("dark", "quarto", 390)],
)
def test_no_accessibility_finding_and_nothing_wider_than_the_page(visit, theme, name, width):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(name, color_scheme=theme, viewport={"width": width, "height": 800})
    found = Axe().run(page, ".living").response["violations"]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []
    for box in page.locator(".living").all():
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    sizes = page.locator(".living svg text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)"
    )
    assert min(sizes) >= 9


# Numbers -------------------------------------------------------------------------------------


def test_paths_are_those_of_the_package(visit):
    page = visit()
    makers = {
        "sgd": lambda p, lr, b1, b2: bp.SGD(p, lr),
        "momentum": lambda p, lr, b1, b2: bp.SGD(p, lr, momentum=b1),
        "adam": lambda p, lr, b1, b2: bp.Adam(p, lr, betas=(b1, b2)),
        "adamax": lambda p, lr, b1, b2: bp.AdaMax(p, lr, betas=(b1, b2)),
    }
    rng = np.random.default_rng(0)
    ravine = trajectories.ravine()
    reached_by = []
    for method, make in makers.items():
        for k in range(10):
            # Large steps of Adam are chaotic: a rounding error grows, so fewer are compared.
            steps, power = (300, rng.uniform(-3.5, -0.5)) if k < 7 else (20, rng.uniform(-0.5, 0.5))
            b1, b2 = rng.uniform(0, 0.95), rng.uniform(0.5, 0.999)
            ours = trajectories.trajectory(
                ravine, lambda p, lr, one=(make, b1, b2): one[0](p, lr, *one[1:]), 10**power, 5000
            )
            path, reached = page.evaluate(
                """([method, settings, data, steps]) => {
                  const { descend, stepsToReach } = living.ravine;
                  const whole = descend(method, settings, data, data.budget);
                  return [descend(method, settings, data, steps), stepsToReach(whole, data)];
                }""",
                [method, {"lr": 10**power, "beta1": b1, "beta2": b2}, RAVINE, steps],
            )
            finite = np.isfinite(ours[: steps + 1, 0]).sum()
            assert len(path) == finite  # both end where they diverge
            np.testing.assert_allclose(path, ours[:finite], rtol=1e-7, atol=1e-9)
            if steps == 300:
                assert reached == trajectories.steps_to_reach(ravine, ours, 1e-3)
                reached_by.append(reached)
    assert sum(reached is not None for reached in reached_by) >= 8


def test_convolution_is_that_of_the_package(visit):
    page = visit()
    rng = np.random.default_rng(0)
    for stride in (1, 2, 3):
        for padding in (0, 1, 2):
            for dilation in (1, 2):
                image, kernel = rng.standard_normal((7, 7)), rng.standard_normal((3, 3))
                settings = {"stride": stride, "padding": padding, "dilation": dilation}
                layer = bp.Conv2d(1, 1, 3, dtype=np.float64, **settings)
                layer.weight[...], layer.bias[...] = kernel, 0
                wanted = layer.forward(image[None, None])[0, 0]
                got = page.evaluate(
                    "([image, kernel, s]) => living.convolution.correlate(image, kernel, s)",
                    [image.tolist(), kernel.tolist(), settings],
                )
                np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_precision_and_recall_are_those_of_the_chapter(visit):
    """At every threshold of the slider, though ratios come in thousandths."""
    page, rng = visit(), np.random.default_rng(5)
    ratio = np.append(rng.uniform(0.4, 1, 300), [0.8, 0.7996, 0.8004]).astype(np.float32)
    correct, possible = rng.random((2, len(ratio))) < [[0.6], [0.7]]
    correct &= possible  # the ends of a correct match correspond
    features = SimpleNamespace(xy=rng.uniform(0, 300, (len(ratio), 2)))
    every = np.arange(len(ratio))
    judged = SimpleNamespace(
        a=features, b=features, correct=correct, again=possible,
        matches=SimpleNamespace(ratio=ratio, first=every, second=every),
    )  # fmt: skip
    data = matches.payload(judged, [], 0.8)
    thresholds = np.arange(400, 1001, 10)
    wanted = judging.ratio_curve(
        ratio, correct, possible, features.xy, thresholds / 1000, resamples=2
    )
    got = page.evaluate(
        "([data, all]) => all.map((t) => living.matches.scores(data, t))",
        [data, thresholds.tolist()],
    )
    np.testing.assert_allclose([one["recall"] for one in got], wanted.recall, atol=1e-12)
    precision = [np.nan if one["precision"] is None else one["precision"] for one in got]
    np.testing.assert_allclose(precision, wanted.precision, atol=1e-12)


def test_ratio_of_early_and_late_layers_is_that_of_the_chapter(visit):
    page, table = visit(), table_of_norms()
    (first, *_) = (n for n in layers.payload(table)["networks"] if n["depth"] == 56)
    rows = gradients.chosen(table, depth=56, skip=first["skip"])
    wanted = gradients.early_late_ratio(rows, "grad_norm").groupby("epoch")["ratio"]
    for epoch, ratios in wanted:
        got = page.evaluate("logs => living.gradients.earlyToLate(logs)", first["logs"][epoch])
        assert got == pytest.approx(np.log10(ratios).mean(), abs=0.01)


# Hands ---------------------------------------------------------------------------------------


def test_keyboard_moves_sliders_and_switches_and_turns_no_page(visit):
    page = visit()
    address = page.url
    for kind, slider in (
        ("ravine", "скорость α"),
        ("convolution", "точка выхода"),
        ("gradients", "эпоха"),
        ("receptive", "слой"),
        ("keypoints", "ключевая точка"),
        ("matches", "порог отношения"),
    ):
        before = said(page, kind)
        control = page.locator(f"#fig-{kind}").get_by_label(slider)
        control.focus()
        page.keyboard.press("ArrowRight")
        assert said(page, kind) != before
        assert control.get_attribute("aria-valuetext")
        spoken = page.locator(f"#fig-{kind} [role=status]")
        page.wait_for_function(
            "([e, text]) => e.textContent === text", arg=[spoken.element_handle(), said(page, kind)]
        )
    page.locator("#fig-ravine").get_by_role("radio", name="Adam", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert said(page, "ravine").startswith("AdaMax")
    page.locator("#fig-gradients").get_by_role("radio", name="56").focus()
    page.keyboard.press("ArrowLeft")
    assert said(page, "gradients").startswith("Обычная-8,")
    assert page.url == address


def test_numbers_of_the_first_view(visit):
    """What the figure says is what the package computes, with a decimal comma."""
    page = visit()
    adam = trajectories.trajectory(trajectories.ravine(), bp.Adam, 0.1, 5000)
    reached = trajectories.steps_to_reach(trajectories.ravine(), adam, 1e-3)
    assert f"остаётся с шага {reached}." in said(page, "ravine")
    assert "α = 0,100" in said(page, "ravine")
    window = np.pad(IMAGE, 1)[4:7, 0:3]
    assert said(page, "convolution").endswith(f"= {(window * KERNEL).sum()}.".replace("-", "−"))
    data = payloads()["matches"]
    accepted, flags = np.array(data["ratio"]) < 800, np.array(data["flags"])
    right, possible = accepted & (flags & 1 > 0), flags & 2 > 0
    shares = [right.sum() / accepted.sum(), (right & possible).sum() / possible.sum()]
    words = "точность {:.1f} %, полнота {:.1f} %".format(*(100 * share for share in shares))
    assert words.replace(".", ",") in said(page, "matches")


def test_mouse_and_touch_point_at_keypoints_and_cells(visit):
    page = visit()
    photo = page.locator("#fig-keypoints svg.living-photo")
    box = photo.bounding_box()
    photo.hover(position={"x": box["width"] * 100 / 120, "y": box["height"] / 2})
    assert said(page, "keypoints").startswith("Точка 3:")
    photo.hover(position={"x": box["width"] * 0.99, "y": 2})  # far from all: the last one stays
    assert said(page, "keypoints").startswith("Точка 3:")
    page.locator("#fig-convolution svg.living-output").click(position={"x": 5, "y": 5})
    assert said(page, "convolution").startswith("Выход в строке 1, столбце 1:")

    page = visit(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    photo = page.locator("#fig-keypoints svg.living-photo")
    photo.scroll_into_view_if_needed()
    box = photo.bounding_box()
    photo.tap(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert said(page, "keypoints").startswith("Точка 2:")
    output = page.locator("#fig-convolution svg.living-output")
    box = output.bounding_box()
    output.tap(position={"x": box["width"] - 6, "y": box["height"] - 6})
    assert said(page, "convolution").startswith("Выход в строке 4, столбце 4:")
    page.locator("#fig-matches input[type=range]").tap(position={"x": 5, "y": 10})
    assert said(page, "matches").startswith("Порог 0,4")


def test_switches_change_the_convolution(visit):
    page = visit()
    figure = page.locator("#fig-convolution")
    figure.get_by_role("group", name="дополнение p").get_by_label("0").check()
    figure.get_by_role("group", name="растяжение d").get_by_label("2").check()
    figure.get_by_role("group", name="шаг s").get_by_label("1").check()
    assert figure.locator("svg.living-output rect.cell").count() == 9  # ⌊(7 − 2·2 − 1) / 1⌋ + 1
    assert "⌊(7 + 2·0 − 2·(3 − 1) − 1) / 1⌋ + 1 = 3" in figure.inner_text()


def test_the_kernel_walks_alone_only_where_motion_is_welcome(visit):
    page = visit()
    page.clock.install()
    page.get_by_role("button", name="Пройти").click()
    before = said(page, "convolution")
    page.clock.run_for(600)
    assert said(page, "convolution") != before
    page.get_by_role("button", name="Остановить").click()
    stopped = said(page, "convolution")
    page.clock.run_for(2000)
    assert said(page, "convolution") == stopped
    quiet = visit(reduced_motion="reduce")
    assert quiet.get_by_role("button", name="Пройти").count() == 0


def test_an_untrained_network_says_so_and_a_missing_one_too(visit):
    page = visit()
    figure = page.locator("#fig-gradients")
    figure.get_by_role("group", name="нормализация").get_by_label("нет").check()
    assert said(page, "gradients") == "Такой сети в опыте нет."
    figure.get_by_role("group", name="нормализация").get_by_label("есть").check()
    figure.get_by_label("эпоха").fill("2")
    assert "эпоха 2" in said(page, "gradients")


def test_receptive_field_is_that_of_the_package(visit):
    page = visit()
    figure = page.locator("#fig-receptive")
    figure.get_by_label("слой").focus()
    page.keyboard.press("ArrowRight")
    assert said(page, "receptive").startswith(
        "одна, слой 2 (b): клетка видит 4×4 пикселей, это 6,3\N{NBSP}% входа 16×16."
    )
    figure.get_by_role("radio", name="другая").check()
    assert said(page, "receptive").startswith("другая, слой 1 (c): клетка видит 9×9 пикселей")
    assert "поле больше входа 8×8" in said(page, "receptive")
    low, high = page.evaluate(
        "field => living.receptive.seen(field, 16)", {"low": -1, "high": 2, "jump": 2}
    )
    assert (low % 2, high - low) == (1, 3)
    assert low + high in (13, 15, 17)  # around the middle of 0 … 15
