"""A recipe for simulated spheroids, checked value by value before anything is drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from cytosuite.manifest import parse
from datasets.physics.grid import Grid
from datasets.spheroid import sections
from datasets.spheroid.fields import Section, is_range
from datasets.spheroid.sections import Kind


class Parameters(Section):
    """Parameters of a simulated spheroid; a pair is a range from which each case draws.

    A single number in place of a pair fixes the value. Raises `InputError` where values that are
    right on their own contradict each other.
    """

    image: sections.Image = sections.Image()
    tissue: sections.Tissue = sections.Tissue()
    nucleus: sections.Nucleus = sections.Nucleus()
    kinds: tuple[Kind, ...] = ()
    subcultures: tuple[sections.Subculture, ...] = ()
    cells: sections.Cells = sections.Cells()
    debris: sections.Debris = sections.Debris()
    optics: sections.Optics = sections.Optics()
    camera: sections.Camera = sections.Camera()
    labels: sections.Labels = sections.Labels()
    output: sections.Output = sections.Output()

    @model_validator(mode="before")
    @classmethod
    def _kinds_inherit(cls, values: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
        """Fill the keys that a kind does not give from `nucleus`."""
        if not isinstance(values, Mapping) or not isinstance(values.get("nucleus"), Mapping):
            return values
        kinds = values.get("kinds", ())
        if not isinstance(kinds, list | tuple) or not all(isinstance(k, Mapping) for k in kinds):
            return values
        return {**values, "kinds": [{**values["nucleus"], **kind} for kind in kinds]}

    @property
    def detector(self) -> Grid:
        """The voxels of the image."""
        return Grid(self.image.shape, self.image.spacing_um)

    def all_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of cells; without any in the recipe, one called nucleus."""
        return self.kinds or (Kind(name="nucleus", **self.nucleus.model_dump()),)

    def ranges(self) -> list[tuple[str, float, float]]:
        """Return name, low and high of every parameter that is a range.

        Names are those of the fields, with the name of the kind in front where a recipe has
        several kinds.
        """
        plain = ("image", "tissue", "cells", "debris", "optics", "camera", "labels")
        named: list[tuple[str, Section]] = [("", getattr(self, name)) for name in plain]
        named += [(f"{kind.name}_" if self.kinds else "", kind) for kind in self.all_kinds()]
        return [
            (prefix + name, value[0], value[1])
            for prefix, part in named
            for name, value in part
            if is_range(value)
        ]

    def files(self) -> list[Path]:
        """Return the files and folders the recipe refers to."""
        names = [*self.tissue.masks, *self.optics.psf_files]
        names += [kind.phantoms for kind in self.all_kinds() if kind.phantoms]
        return [Path(name) for name in names]


def parameters_from(values: Mapping[str, Any]) -> Parameters:
    """Return checked parameters from the values of a recipe.

    Parameters
    ----------
    values : mapping
        Sections of `Parameters`; missing values keep their defaults.

    Raises
    ------
    InputError
        If a name is unknown or a value is not allowed; one line that names the first of them.
    """
    return parse("spheroid parameters", dict(values), Parameters)
