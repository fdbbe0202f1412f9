"""A recipe for simulated spheroids, checked value by value, and one case drawn from its ranges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.ranges import Section, is_range
from cytosuite.datasets.spheroid import sections
from cytosuite.datasets.spheroid.sections import Kind
from cytosuite.manifest import parse

Drawn = dict[str, float]

TYPICAL = 20  # nuclei, whose diameter is that of the recipe
LOGARITHMIC = {"n_nuclei", "photons", "attenuation_um"}  # drawn log-uniformly
WHOLE = {"bodies", "blobs"}  # numbers of things
LAST = (
    "bleed_through",
    "cytoplasm_spread",
    "middle",
    "plane_level",
)  # drawn after all others, as they came
PER_OBJECT = {  # ranges from which every single object draws
    *("fragments", "fragment_brightness", "body_diameter", "body_brightness"),
    *("blob_sigma_z_um", "blob_sigma_xy_um", "blob_brightness"),
}


class Parameters(Section):
    """Parameters of a simulated spheroid; a pair is a range from which each case draws.

    A single number in place of a pair fixes the value. `checks.check` refuses
    values that contradict each other.
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
        """The voxels of the image, of their true size."""
        z, y, x = self.image.spacing_um
        return Grid(self.image.shape, (z / self.image.stretch, y, x))

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
        found = [
            (prefix + name, value[0], value[1])
            for prefix, part in named
            for name, value in part
            if is_range(value)
        ]
        return sorted(found, key=lambda each: LAST.index(each[0]) + 1 if each[0] in LAST else 0)

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


def draw_values(rng: np.random.Generator, parameters: Parameters) -> Drawn:
    """Return one value from each range of the parameters that holds for a whole case.

    Returns
    -------
    dict of str to float
        Uniform in the range; `n_nuclei` (rounded), `photons` and `attenuation_um` log-uniform.
    """
    values: Drawn = {}
    for name, low, high in parameters.ranges():
        share = rng.random()
        if name in PER_OBJECT:
            continue
        if name in WHOLE:
            values[name] = int(low) + int(share * (high - low + 1) * (1 - 1e-12))
        elif name in LOGARITHMIC:
            values[name] = float(low * (high / low) ** share)
        else:
            values[name] = float(low + (high - low) * share)
    if "n_nuclei" in values:
        values["n_nuclei"] = round(values["n_nuclei"])
        crowd = values["n_nuclei"] / TYPICAL
        values["photons"] *= crowd**-parameters.camera.fading
        for name in values:
            if name.endswith("diameter_um"):
                values[name] *= crowd**-parameters.tissue.shrinkage
    return values


def of_kind(drawn: Drawn, parameters: Parameters, kind: Kind, name: str) -> float:
    """Return the value drawn for a kind of cells and a range of its `Nucleus` section."""
    return drawn[f"{kind.name}_{name}" if parameters.kinds else name]
