"""Types of parameters: numbers in bounds, ranges from which a case draws, sections."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo

from cytosuite.manifest import Described

Number = TypeVar("Number", int, float)


class Section(Described):
    """Base of all sections; the text below a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _pair(value: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
    """Return a single number as the range that holds nothing else."""
    single = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, value) if single else value


def _ascending(value: tuple[Number, Number]) -> tuple[Number, Number]:
    """Return a range, refuse one whose ends are exchanged."""
    if value[0] > value[1]:
        raise ValueError("must be one number or a range [low, high] with low <= high")
    return value


def _from_folder(value: str, info: ValidationInfo) -> str:
    """Return a path that counts from the recipe's folder as one that counts from anywhere."""
    folder = (info.context or {}).get("folder")
    return str(folder / value) if value and folder is not None else value


PathName = Annotated[str, AfterValidator(_from_folder)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Spread = Annotated[float, Field(ge=0, le=0.5)]
Rough = Annotated[float, Field(ge=0, le=0.15)]
Wide = Annotated[float, Field(ge=0, le=1.5)]
Fraction = Annotated[float, Field(gt=0, le=0.55)]
Count = Annotated[int, Field(ge=1, le=20000)]
NotNegativeCount = Annotated[int, Field(ge=0, le=20000)]
Factor = Annotated[float, Field(ge=1, le=8)]
Index = Annotated[float, Field(ge=1.0, le=2.0)]
Triple = tuple[Positive, Positive, Positive]
Auto = Literal["auto"]
Range = Annotated[tuple[Number, Number], BeforeValidator(_pair), AfterValidator(_ascending)]
OutlineNames = Annotated[
    tuple[Literal["ellipsoid", "shell", "irregular", "fill", "file"], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]


def is_range(value: object) -> bool:
    """Return whether a value of a section is a range from which each case draws."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int | float)
