"""Times of ``make bench``: ours and those of others for the same work, measured in turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from pixgrad.data.files import read_bytes
from pixgrad.errors import SourceError

FILE = Path("benchmarks", "bench.json")


class Contender(BaseModel):
    """One program at one work.

    Attributes
    ----------
    ours : it is the project's.
    seconds : of each round; of a quoted one, the times that its source gives.
    quoted : where the times were read; empty for what was measured in the same run.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    ours: bool = False
    seconds: list[PositiveFloat] = Field(min_length=1)
    quoted: str = ""


class Work(BaseModel):
    """What is done, and who does it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    clock: Literal["processor", "wall"]
    contenders: list[Contender] = Field(min_length=2)

    def check(self, file: Path) -> None:
        """
        Raises
        ------
        SourceError : ours or others are absent, or someone missed a round.
        """
        if len({one.ours for one in self.contenders}) < 2:
            raise SourceError(
                f"замеры неверны: {self.name}: нужны и наш, и другие",
                file,
                english=f"not a benchmark: {self.name}: ours and others are needed",
            )
        if len({len(one.seconds) for one in self.contenders if not one.quoted}) != 1:
            raise SourceError(
                f"замеры неверны: {self.name}: у всех должно быть поровну кругов",
                file,
                english=f"not a benchmark: {self.name}: everyone needs as many rounds",
            )

    def ratios(self, ours: Contender, other: Contender) -> np.ndarray:
        """Quartiles of our time over the other's, (3,): in the same round, or to a quoted range."""
        if other.quoted:
            middle = np.median(ours.seconds)
            return np.sort(middle / np.quantile(other.seconds, [0, 0.5, 1]))
        return np.quantile(np.divide(ours.seconds, other.seconds), [0.25, 0.5, 0.75])


class Bench(BaseModel):
    """One run of everything.

    Attributes
    ----------
    load : of the machine, means over a minute at the start and at the end.
    missing : who could not be measured and why.
    """

    model_config = ConfigDict(extra="forbid")

    git_commit: str
    versions: dict[str, str]
    device: str
    threads: int
    load: tuple[float, float]
    works: list[Work] = Field(min_length=1)
    missing: dict[str, str] = {}


def load(file: Path = FILE) -> Bench | None:
    """The last run; None where there was none.

    Raises
    ------
    SourceError : the file breaks the schema.

    Examples
    --------
    >>> load(Path("no-such-file.json")) is None
    True
    """
    if not file.is_file():
        return None
    raw = read_bytes(file)
    try:
        found = Bench.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "JSON"
        raise SourceError(
            f"замеры неверны: {field}: {first['msg']}",
            file,
            english=f"not a benchmark: {field}: {first['msg']}",
        ) from None
    for work in found.works:
        work.check(file)
    return found


def dump(bench: Bench) -> str:
    """As it is written to the file; times with four figures."""
    shown = bench.model_dump()
    for work in shown["works"]:
        for one in work["contenders"]:
            one["seconds"] = [float(f"{value:.4g}") for value in one["seconds"]]
    return json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
