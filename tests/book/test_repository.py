"""What a stranger relies on: README's commands, one way of imports, nothing heavy in git."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from pixgrad.book.source import project as books

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "code" / "pixgrad"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Who may not import whom (DESIGN: imports point one way).
SCIENCE = {"sift", "views", "backprop", "nets", "detection", "compression"}
FORBIDDEN = {
    "book": {*SCIENCE, "training", "experiments", "plots", "results", "claims"},
    "claims": {"training", "experiments", "book"},
    **{name: {"training", "experiments", "book"} for name in SCIENCE},
    "sift": {"views", "training", "experiments", "book"},
    "data": {*SCIENCE, "training", "experiments", "book"},
    "results": {*SCIENCE, "training", "experiments", "plots", "book"},
    "training": {"experiments", "book"},
    "experiments": {"book"},
    "plots": {"training", "experiments", "book", "claims"},
}


def top(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> set[str]:
    """Parts of ``pixgrad`` that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.relative_to(PACKAGE.parent).parts[: -node.level]
            base = [*(package if node.level else ()), *filter(None, [node.module])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("pixgrad.")}
    return found


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_imports_point_one_way(name: str) -> None:
    own = [module for module in MODULES if top(module) == name]
    if not own:
        pytest.skip(f"пакета {name} ещё нет")
    wrong = {
        f"{module.relative_to(ROOT)}: {other}"
        for module in own
        for other in imported(module) & FORBIDDEN[name]
    }
    assert not wrong


def test_only_doctor_looks_at_data_from_the_book() -> None:
    users = {
        module.name for module in MODULES if top(module) == "book" and "data" in imported(module)
    }
    assert users <= {"doctor.py"}


def test_nothing_prints() -> None:
    """No call of ``print``; what a chapter is to print stands in strings."""
    wrong = [
        f"{module.relative_to(ROOT)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not wrong


def test_code_is_no_package() -> None:
    """``code/__init__.py`` would shadow the standard module ``code``."""
    assert not (ROOT / "code" / "__init__.py").exists()


READMES = {"README.md": "Map of the house", "README.ru.md": "Карта дома"}


@pytest.mark.parametrize("name", READMES)
def test_commands_of_the_readme_exist(name: str) -> None:
    from pixgrad.cli import app

    readme = (ROOT / name).read_text("utf-8")
    made = set(
        re.findall(
            r"`?\bmake ([a-z-]+)`?", "\n".join(re.findall(r"`make [a-z-]+|^make .*", readme, re.M))
        )
    )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert {"report", "test"} <= made <= targets
    used = set(re.findall(r"\bpixgrad ([a-z][a-z-]*)\b", readme))
    known = {
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
    }
    assert used <= known


@pytest.mark.parametrize("name", READMES)
def test_paths_of_the_readme_exist(name: str) -> None:
    readme = (ROOT / name).read_text("utf-8")
    (table,) = re.findall(rf"^## {READMES[name]}\n\n(.*?)\n\n", readme, re.M | re.S)
    paths = [
        path
        for row in table.split("\n")[2:]
        for path in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), path
    for link in re.findall(r"(?:\]\(|src=\")(?!https?://)([^)#\"]+)[)\"]", readme):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("name", READMES)
def test_every_folder_is_on_the_map(name: str) -> None:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        pytest.skip("не репозиторий git")
    folders = {path.split("/")[0] for path in answer.stdout.split("\0") if "/" in path}
    table = (ROOT / name).read_text("utf-8").partition(f"## {READMES[name]}\n")[2]
    shown = set(re.findall(r"`([a-z_]+)/", table))
    assert {folder for folder in folders if not folder.startswith(".")} <= shown


@pytest.mark.parametrize("name", READMES)
def test_chapters_of_the_readme_are_those_of_the_book(name: str) -> None:
    book = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))["book"]
    parts = [
        part["chapters"] if isinstance(part, dict) else [part]
        for part in book["chapters"]
        if part not in ("index.qmd", "chapters/references.qmd")
    ]
    paths = [Path(path) for path in [*itertools.chain(*parts), *book["appendices"]]]
    rows = re.findall(
        r"^\| (\S+) \| \[(.+?)\]\((.+?)\) \| (.+) \|$", (ROOT / name).read_text("utf-8"), re.M
    )
    assert [Path(row[2]).stem for row in rows] == [path.stem for path in paths]
    for path, (_, title, _, question) in zip(paths, rows, strict=True):
        source = (ROOT / path).read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
        assert re.match(r"# (.+?) \{", source)[1] == title
        assert ("◆" in question) == ("living.data(" in source), path


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    extras = [one for listed in project["optional-dependencies"].values() for one in listed]
    for requirement in project["dependencies"] + extras:
        if requirement.startswith("pixgrad["):
            continue
        (line,) = [line for line in text.split("\n") if f'"{requirement}"' in line]
        assert re.search(r"#\s*\S+", line), f"{requirement}: зачем?"


def test_torch_is_not_in_the_light_set() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    light = " ".join(project["dependencies"])
    assert not re.search(r"torch|opencv|ipykernel|matplotlib", light)


def test_the_address_stands_in_one_place() -> None:
    """``repo-url`` of _quarto.yml alone names the repository."""
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))
    assert "repo-url" in config["book"]
    for name in (*READMES, "CITATION.cff", "pyproject.toml"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"(github|gitlab)\.(com|io)", text), name


def test_workflows_and_ci_call_the_makefile() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "jobs"} <= set(workflow)
    test = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    assert ".ci/run" in test


def test_nothing_heavy_is_in_git() -> None:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        pytest.skip("не репозиторий git")
    tracked = [ROOT / name for name in answer.stdout.split("\0") if name]
    assert tracked
    heavy = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in tracked
        if path.exists() and path.stat().st_size > 2 * 1024 * 1024
    }
    assert not heavy


ROOMS = ("ledger", "source", "executing", "rendering", "checking", "previewing")


def test_rooms_of_the_generator_know_only_those_before_them() -> None:
    book = ROOT / "code/pixgrad/book"
    assert {path.name for path in book.iterdir() if (path / "__init__.py").exists()} == set(ROOMS)
    for path in book.rglob("*.py"):
        room = path.relative_to(book).parts[0]
        if room not in ROOMS:
            continue
        known = ROOMS[: ROOMS.index(room) + 1]
        text = path.read_text("utf-8")
        used = set(re.findall(r"^\s*(?:from|import) pixgrad\.book\.(\w+)", text, re.M))
        assert used <= set(known), path
        assert not re.search(r"^\s*from pixgrad\.book import", text, re.M), path


def test_the_front_page_has_a_card_of_every_part_with_its_chapters() -> None:
    project = books.load(ROOT)
    cards = (ROOT / "index.qmd").read_text("utf-8").split("::: {.part}")[1:]
    of_part = {card.strip()[2:].partition(".**")[0]: card for card in cards}
    missing = [
        f"{chapter.part}: {chapter.path}"
        for chapter in project.chapters
        if chapter.part
        for entry in [f"@{chapter.id}\n" if chapter.number else f"]({chapter.path})\n"]
        if entry not in of_part.get(chapter.part, "")
    ]
    assert not missing, missing
