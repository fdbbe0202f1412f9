"""Draft of a recipe of nuclei or cells that are learned from label images."""

from dataclasses import dataclass, replace
from math import exp, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from cytosuite.datasets.calibration.masks import Floats
from cytosuite.datasets.calibration.start import short

CLOSEST, APART = -0.7, 1.0  # limits of `close`
ALIKE, NARROWER, CLOSER, FEWER = 0.02, 0.8, 0.05, 0.95  # spread of cases, `close`, number
NUMBER = {"nuclei": "n_nuclei", "cells": "n_cells"}
CORE = 0.5  # radius of a nucleus / radius of its cell, which cells alone do not tell
SPREAD_CORE = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Draft:
    """Where the parameters of a recipe stand; the first ones stay as they are measured."""

    dataset: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    shapes: str  # path
    stretch: float
    turn_deg: float
    foreground: str
    margin_um: float
    density: Floats  # quantiles, objects per µm² (µm³) of the image and its margin
    radii_um: Floats  # quantiles
    case_spread: float
    shrinkage: float
    discs: float
    disc_um: float
    width: tuple[float, ...]
    close: float = 0.0  # above 0 the gap / median radius, below 0 minus the share of overlap

    @property
    def counts(self) -> Floats:
        """Quantiles of the number of objects in the image and its margin."""
        lengths = np.multiply(self.shape, self.spacing) + 2 * self.margin_um
        return np.asarray((self.density * lengths.prod()).round().clip(1))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the recipe, with 4 digits."""
        found: dict[str, Any] = rounded(self._parameters())
        return found

    def _parameters(self) -> dict[str, Any]:
        middle, around = float(np.median(self.radii_um)), sqrt(self.discs)
        image = {"shape": self.shape, "spacing_um": self.spacing, "margin_um": self.margin_um}
        counts = self.counts.astype(int).tolist()
        objects: dict[str, Any] = {
            "radius_um": self.radii_um,
            "case_spread": self.case_spread,
            "shrinkage": self.shrinkage,
            "elongation": 1.0,  # that of the shapes
            "turn_deg": self.turn_deg,
            "shapes": self.shapes,
            "gap_um": max(self.close, 0.0) * middle,
            "max_overlap": max(-self.close, 0.0),
        }
        discs = [max(round(self.discs + way * around), 1) for way in (-1, 1)]
        if self.dataset == "cells":
            own = {"colonies": discs, "colony_um": self.disc_um}
            cells = {"n_cells": counts} | objects | (own if self.foreground == "discs" else {})
            core = [CORE * way * middle for way in SPREAD_CORE]
            return {"image": image, "cells": cells, "nuclei": {"radius_um": core}}
        places: dict[str, dict[str, Any]] = {
            "image": {},
            "discs": {"discs": discs, "disc_radius_um": self.disc_um},
            "ellipsoid": {"width": self.width},
        }
        found = image | {"n_nuclei": counts, "foreground": self.foreground}
        stretch = {"stretch": self.stretch} if len(self.shape) == 3 else {}
        return found | places[self.foreground] | objects | stretch

    def cases(self, rng: np.random.Generator, number: int) -> list[dict[str, Any]]:
        """Return the parameters of cases, evenly drawn from all that differs between cases."""
        even = [((rng.permutation(number) + 0.5) / number).tolist() for _ in range(2)]
        counts, found = self.counts, []
        for share, chance in zip(*even, strict=True):
            count = round(float(np.interp(share, np.linspace(0, 1, counts.size), counts)))
            factor = exp(self.case_spread * NormalDist().inv_cdf(chance))
            factor *= (float(np.median(counts)) / count) ** self.shrinkage
            radii = self.radii_um * factor
            own = replace(self, radii_um=radii, case_spread=0.0, shrinkage=0.0).parameters()
            own.get("cells", own)[NUMBER[self.dataset]] = count
            found.append(own)
        return found

    def closer(self) -> "Draft":
        """Return a draft that needs less room: cases more alike, else closer or fewer objects."""
        if self.case_spread > ALIKE:  # large objects in a crowded case
            return replace(self, case_spread=self.case_spread * NARROWER)
        if self.close > CLOSEST:
            return replace(self, close=max(self.close - CLOSER, CLOSEST))
        return replace(self, density=self.density * FEWER)


def rounded(value: Any) -> Any:  # noqa: ANN401  (what a recipe contains)
    """Return nested values with 4 digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(part) for part in value]
    return short(value) if isinstance(value, float) else value
