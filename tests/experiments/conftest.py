"""What the tests of experiments share: a project where one was run, and its results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_experiment

from pixgrad import cli, experiments, results
from pixgrad.experiments.running.running import run


@pytest.fixture(scope="class")
def project(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Path]:
    """A project where the test module's ``EXPERIMENT`` was run, as its ``shrink`` makes it."""
    place = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        request.module.shrink(patch)
        run(request.module.EXPERIMENT.name)
        yield place


@pytest.fixture(scope="class")
def found(project: Path, request: pytest.FixtureRequest) -> results.Results:
    """What it published."""
    return results.load(request.module.EXPERIMENT.name)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project whose one experiment is the tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "names", lambda: ["tiny"])
    monkeypatch.setattr(experiments, "experiment", lambda name: tiny_experiment.EXPERIMENT)
    return tmp_path


@pytest.fixture
def pixgrad(monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., tuple[object, list[str]]]:
    """The command: its exit code or message, and the lines that it printed."""

    def command(*arguments: str) -> tuple[object, list[str]]:
        monkeypatch.setattr(sys, "argv", ["pixgrad", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, capsys.readouterr().out.splitlines()

    return command
