"""Statistical shape models: a mean shape and its principal modes, learned from labels.

A shape is the vector of its harmonic coefficients (Ducroz et al. 2011,
doi:10.1109/IEMBS.2011.6091632), relative to its mean radius, from the shortest to the longest axis;
modes are principal components (Cootes et al. 1995, doi:10.1006/cviu.1995.1004).
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from cytosuite.bodies.harmonics import DIRECTIONS, HIGHEST, fibonacci_sphere, legendre, radii, waves
from cytosuite.bodies.stars import Stars
from cytosuite.contract.manifest import Count, Described, parse
from cytosuite.datasets.physics.harmonics import stars_of
from cytosuite.errors import InputError
from cytosuite.files import read_json, write_json
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Bools, DoublePair, Doubles, Lengths, Rng
from cytosuite.volume.objects import numbered, objects_in, on_face

LEAST_SHAPES = 3
SHARE = 0.98  # of the variance, which the modes kept explain
Coefficient = Annotated[float, Field(ge=-100, le=100)]
Vector = Annotated[tuple[Coefficient, ...], Field(max_length=(HIGHEST + 1) ** 2)]


class ShapeModel(Described):
    """A mean shape and its modes, as it stands in a file."""

    axes: Literal["ZYX", "YX"]
    """of the labels it was learned from: volumes or planes"""
    order: int = Field(ge=1, le=HIGHEST)
    """highest degree of the harmonics"""
    shapes: Count
    """how many it was learned from"""
    mean: Vector
    """coefficients of degree 1 and up, relative to the mean radius, see `entries`"""
    deviations: Annotated[tuple[Annotated[float, Field(ge=0, le=100)], ...], Field(max_length=1000)]
    """standard deviation of each mode, falling"""
    modes: Annotated[tuple[Vector, ...], Field(max_length=1000)]
    """coefficients of each mode, of length 1"""

    @model_validator(mode="after")
    def _agree(self) -> "ShapeModel":
        """Refuse vectors of another length than the order asks for."""
        length = int(entries(self.order, self.axes == "YX").sum())
        for name, vector in [("mean", self.mean), *(("a mode", mode) for mode in self.modes)]:
            if len(vector) != length:
                raise ValueError(
                    f"{name} holds {len(vector)} coefficients, expected {length} for {self.axes} "
                    f"and order {self.order}"
                )
        if len(self.modes) != len(self.deviations):
            raise ValueError(f"{len(self.modes)} modes have {len(self.deviations)} deviations")
        return self

    def draw(self, rng: Rng, axes_um: Doubles, rotations: Doubles) -> Stars:
        """Return bodies drawn from the model, normal along each mode, longest axis last."""
        plane = self.axes == "YX"
        higher = entries(self.order, plane)
        modes = np.reshape(self.modes, (len(self.modes), higher.sum()))
        scores = rng.normal(size=(len(axes_um), len(modes))) * self.deviations
        displaced = np.zeros((len(axes_um), *higher.shape))
        displaced[:, higher] = np.array(self.mean) + scores @ modes
        stars = stars_of(axes_um, rotations, displaced)
        directions, basis = _harmonics(self.order, plane)
        radius = np.tensordot(stars.coefficients, basis, higher.ndim)
        axes = 2 if plane else 3
        moments = radius ** (axes + 2) @ np.square(directions[-axes:]).T
        semi_axes = stars.semi_axes_um.copy()
        semi_axes[:, -axes:] *= np.sqrt(moments / moments.prod(axis=1, keepdims=True) ** (1 / axes))
        return replace(stars, semi_axes_um=semi_axes)

    def write(self, path: Path) -> None:
        """Write the model as JSON, which the parameter ``shapes`` of the dataset nuclei reads."""
        write_json(path, self.model_dump(mode="json"))


def entries(order: int, plane: bool) -> Bools:
    """Return a mask (2, L + 1, L + 1) or (2, L + 1) of the coefficients of degree 1 and up."""
    if plane:
        return np.arange(order + 1) * np.ones((2, 1)) >= 1
    mask = np.stack([np.triu(np.ones((order + 1, order + 1), bool))] * 2)
    mask[0, 0, 0] = mask[1, 0] = False
    return mask


def read_model(path: Path, *, plane: bool) -> ShapeModel:
    """Return the model of planes or of volumes in a file; InputError if broken or of other axes."""
    model = parse(path, read_json(path), ShapeModel)
    axes = "YX" if plane else "ZYX"
    if model.axes != axes:
        raise InputError(
            f"{path}: shapes with the axes {model.axes}, but the image has the axes {axes}; learn "
            "them from labels with its axes"
        )
    return model


def fit(labels: Iterable[Volume], *, order: int = 8, min_voxels: int = 100) -> ShapeModel:
    """Return the shape model of whole objects by second moments; InputError below 3."""
    if not 1 <= order <= HIGHEST:
        raise InputError(f"the order of harmonics must be 1 to {HIGHEST}, found {order}")
    vectors = []
    axes = set()
    for volume in labels:
        axes.add(volume.axes)
        if volume.axes not in ("ZYX", "YX") or len(axes) > 1 or volume.array.dtype.kind not in "iu":
            raise InputError(
                "shapes are learned from integer labels with the axes ZYX, or all YX, found "
                f"{volume.array.dtype} labels with the axes {', '.join(sorted(axes))}"
            )
        vectors += [
            coefficients(np.pad(mask, 1), volume.spacing, order)
            for _, box, mask in objects_in(numbered(volume.array)[1])
            if np.count_nonzero(mask) >= min_voxels and not on_face(box, volume.shape)
        ]
    if len(vectors) < LEAST_SHAPES:
        raise InputError(
            f"shapes are learned from at least {LEAST_SHAPES} objects of {min_voxels} voxels that "
            f"touch no face of their image, found {len(vectors)}; give more labels or lower "
            "min_voxels"
        )
    data = np.stack(vectors)
    mean = data.mean(axis=0)
    _, spread, modes = np.linalg.svd(data - mean, full_matrices=False)
    explained = np.cumsum(spread**2) / max(float((spread**2).sum()), 1e-300)
    count = min(int(np.searchsorted(explained, SHARE)) + 1, len(vectors) - 1)
    return ShapeModel(
        axes="YX" if axes == {"YX"} else "ZYX",
        order=order,
        shapes=len(vectors),
        mean=tuple(mean.tolist()),
        deviations=tuple((spread[:count] / np.sqrt(len(vectors) - 1)).tolist()),
        modes=tuple(tuple(mode) for mode in modes[:count].tolist()),
    )


def coefficients(mask: Bools, spacing: Lengths, order: int) -> Doubles:
    """Return the vector (K,) of an object (Z, Y, X) or (Y, X), see `entries`."""
    plane = mask.ndim == 2
    points = np.argwhere(mask) * spacing
    centre = points.mean(axis=0)
    _, frame = np.linalg.eigh(np.cov((points - centre).T))  # from the shortest axis on
    frame = frame * np.where((((points - centre) @ frame) ** 3).sum(axis=0) < 0, -1.0, 1.0)
    frame[:, 0] *= np.sign(np.linalg.det(frame))
    directions, basis = _harmonics(order, plane)
    lengths = radii(mask, spacing, centre, frame @ directions[-mask.ndim :])
    higher = entries(order, plane)
    zero = (0,) * higher.ndim
    solved = np.linalg.lstsq(np.vstack([basis[zero], basis[higher]]).T, lengths, rcond=None)[0]
    return np.asarray(solved[1:] / (solved[0] * basis[zero][0]))


@lru_cache(maxsize=4)
def _harmonics(order: int, plane: bool) -> DoublePair:
    """Return even directions (3, n), of a plane in it, and harmonics (2, L + 1, ..., n) there."""
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    circle = np.stack([np.zeros(DIRECTIONS), np.cos(angles), np.sin(angles)])
    directions = circle if plane else fibonacci_sphere(DIRECTIONS)
    turns = waves(order, np.arctan2(directions[2], directions[1]))
    return directions, turns if plane else turns[:, :, None] * legendre(order, directions[0])
