"""Parameters of simulated datasets: sections of a recipe, and ranges from which each case draws."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from cytosuite.contract.manifest import Described
from cytosuite.contract.manifest import Share as Share
from cytosuite.files import FloatTuple
from cytosuite.volume.arrays import Doubles, Interval, Rng

Number = TypeVar("Number", int, float)


class Section(Described):
    """Base of all sections; the text below a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _pair(value: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
    """Return a single number as the range that holds nothing else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value)
    return value


def _ascending(value: tuple[Number, ...]) -> tuple[Number, ...]:
    """Return a range or quantiles, or refuse them in another order."""
    if any(low > high for low, high in pairwise(value)):
        raise ValueError("must be one number or a range [low, high] with low <= high")
    return value


LARGEST = 1e9  # of any number: squares and products of several stay finite
Positive = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=20000)]
NotNegativeCount = Annotated[int, Field(ge=0, le=20000)]
Elongation = Annotated[float, Field(ge=1, le=10)]
Bumps = Annotated[float, Field(ge=0, le=0.3)]
Wide = Annotated[float, Field(ge=0, le=1.5)]  # standard deviation of a logarithm
Rough = Annotated[float, Field(ge=0, le=0.15)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Clump = Annotated[float, Field(ge=1e-9, le=8)]  # µm; the tiles of texture are 24 µm wide
Auto = Literal["auto"]
Triple = tuple[Positive, Positive, Positive]
Range = Annotated[tuple[Number, Number], BeforeValidator(_pair), AfterValidator(_ascending)]
PositiveRange = Range[Positive]
NotNegativeRange = Range[NotNegative]
ShareRange = Range[Share]
CountRange = Range[NotNegativeCount]
# More than two values are quantiles, evenly spaced from the least to the greatest.
Quantiles = Annotated[
    tuple[Number, ...],
    BeforeValidator(_pair),
    Field(min_length=2, max_length=101),
    AfterValidator(_ascending),
]


def draw(rng: Rng, values: FloatTuple, count: int) -> Doubles:
    """Return numbers (count,) from a range or from quantiles."""
    if len(values) == 2:
        return rng.uniform(*values, count)
    return np.interp(rng.random(count), np.linspace(0, 1, len(values)), values)


def log_uniform(rng: Rng, limits: Interval) -> float:
    """Return a number of a range, drawn log-uniformly."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def draw_whole(rng: Rng, values: tuple[int, ...]) -> int:
    """Return a whole number from a range, ends included, or from quantiles."""
    if len(values) == 2:
        return int(rng.integers(values[0], values[1] + 1))
    return round(float(draw(rng, values, 1)[0]))


class FileName(str):
    """The path of a file or folder in a recipe."""

    __slots__ = ()


def _from_folder(value: str, info: ValidationInfo) -> FileName:
    """Return a path that counts from the recipe's folder as one that counts from anywhere."""
    folder = (info.context or {}).get("folder")
    return FileName(folder / value if value and folder is not None else value)


PathName = Annotated[str, AfterValidator(_from_folder)]


def files_in(value: object) -> Iterator[Path]:
    """Yield the files and folders that a section and those in it refer to."""
    if isinstance(value, FileName) and value:
        yield Path(value)
    elif isinstance(value, BaseModel | tuple):
        for part in dict(value).values() if isinstance(value, BaseModel) else value:
            yield from files_in(part)


def is_range(value: object) -> bool:
    """Return whether a value of a section is a range from which each case draws."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int | float)
