"""Parameters of simulated datasets: sections of a recipe, and ranges from which each case draws."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo

from cytosuite.contract.manifest import Described

Number = TypeVar("Number", int, float)


class Section(Described):
    """Base of all sections; the text below a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _pair(value: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
    """Return a single number as the range that holds nothing else."""
    single = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, value) if single else value


def _ascending(value: tuple[Number, Number]) -> tuple[Number, Number]:
    """Return a range, or refuse one with its ends exchanged."""
    if value[0] > value[1]:
        raise ValueError("must be one number or a range [low, high] with low <= high")
    return value


LARGEST = 1e9  # of any number: squares and products of several stay finite
Positive = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=20000)]
Range = Annotated[tuple[Number, Number], BeforeValidator(_pair), AfterValidator(_ascending)]


def _from_folder(value: str, info: ValidationInfo) -> str:
    """Return a path that counts from the recipe's folder as one that counts from anywhere."""
    folder = (info.context or {}).get("folder")
    return str(folder / value) if value and folder is not None else value


PathName = Annotated[str, AfterValidator(_from_folder)]


def is_range(value: object) -> bool:
    """Return whether a value of a section is a range from which each case draws."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int | float)
