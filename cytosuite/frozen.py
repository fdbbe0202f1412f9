"""Classes of values that stay as they are."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a class a dataclass with slots, of which no field can be set again."""
    return dataclass(frozen=True, slots=True)(kind)
