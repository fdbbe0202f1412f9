"""Knobs: pairs of a parameter of the spheroid simulator and the statistic that it moves.

A knob is turned by the difference of real and simulated statistic over its response, each on a
scale on which one depends about linearly on the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isfinite, log, nan
from typing import Any, Literal

Scale = Literal["log", "plain", "inverse"]

LONGEST = 1e-4  # smallest value on the inverse scale: 10 mm


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter and the statistic that it moves.

    Parameters
    ----------
    parameter : str
        ``section.name``.
    statistic : str
        One of `cytosuite.datasets.calibration.measure.VOLUME_STATISTICS`.
    response : float
        Change of the statistic per change of the parameter, each on its scale.
    low, high : float
        Limits of the parameter.
    scale, seen : str
        Scales of parameter and statistic: ``log``, ``plain``, or ``inverse`` (1 / value).
    step : float
        Largest change in a round, on the parameter's scale.
    ranged : bool
        Whether the parameter is a range: stacks then differ in it as the real ones do.
    crowd : str
        Exponent by which the parameter falls with the number of nuclei, if there is one.
    widest : float
        Largest half-width of the range, on the logarithmic scale: larger differences between
        stacks of one microscope are mostly the uncertainty of the statistic.
    """

    parameter: str
    statistic: str
    response: float
    low: float
    high: float
    scale: Scale = "log"
    seen: Scale = "log"
    step: float = 0.5
    ranged: bool = True
    widest: float = 1.5
    crowd: str = ""

    @property
    def bounded(self) -> bool:
        """Whether an end of the limits says that the data ask for more; 0 is an end of all."""
        return self.low > 0

    def place(self, value: float) -> float:
        """Return the place of a value of the parameter on its scale."""
        return on_scale(self.scale, value)

    def value(self, place: float) -> float:
        """Return the value at a place on the parameter's scale, within its limits."""
        if self.scale == "log":
            place = exp(min(place, 50.0))
        elif self.scale == "inverse":
            place = 1 / max(place, LONGEST)
        return min(max(place, self.low), self.high)

    def seen_at(self, statistic: float) -> float:
        """Return the place of a statistic on its scale, NaN where it has none."""
        return on_scale(self.seen, statistic)


KNOBS = (
    Knob("camera.photons", "signal", 1.0, 0.2, 1e5, crowd="camera.fading"),
    Knob("camera.background_photons", "far", 1.0, 0.0, 1e4, scale="plain", seen="plain", step=5.0),
    Knob(
        *("nucleus.diameter_um", "volume_um3", 2.5, 1.5, 60.0),
        step=0.25,
        crowd="tissue.shrinkage",
    ),
    Knob("nucleus.diameter_spread", "size_spread", 1.0, 0.02, 0.4, ranged=False),
    Knob("nucleus.axis_spread", "flatness", 1.2, 0.02, 0.4, "plain", "plain", 0.1, ranged=False),
    Knob("nucleus.flat_fraction", "tangential", 0.35, 0.0, 1.0, "plain", "plain", 0.2),
    Knob("nucleus.brightness_spread", "brightness_spread", 1.0, 0.02, 0.6, widest=0.4),
    Knob("nucleus.chromatin_contrast", "texture", 0.5, 0.02, 0.9, "plain", "plain", 0.15),
    Knob("nucleus.chromatin_um", "grain", 0.3, 0.2, 3.0, "log", "plain", 0.3, ranged=False),
    Knob("optics.psf_sigma_z_um", "edge_z_um", 0.7, 0.2, 12.0, step=0.35, widest=0.1),
    Knob("optics.psf_sigma_xy_um", "edge_xy_um", 0.6, 0.1, 4.0, step=0.35, widest=0.1),
    Knob("optics.haze", "halo", 0.7, 0.01, 0.75, widest=0.8),
    Knob("optics.cytoplasm", "glow", 0.7, 0.0005, 0.6, widest=1.5),
    Knob("optics.attenuation_um", "dimming", 1.0, 10.0, 1000.0, "inverse", "plain", 0.01),
    Knob("labels.level", "label_level", 0.8, 0.015, 0.6, "plain", "plain", 0.1),
    Knob("image.stretch", "elongation", 0.8, 0.7, 1.8, step=0.1, ranged=False),
    Knob("tissue.n_nuclei", "objects", 1.0, 1.0, 5000.0, step=0.15),
    Knob("tissue.volume_fraction", "tissue_width_um", -1 / 3, 0.005, 0.42, step=0.25),
    Knob("tissue.flattening", "tissue_height_um", 1.0, 0.35, 2.0, step=0.25),
    Knob("tissue.middle", "middle", 1.0, 0.0, 1.0, "plain", "plain", 0.1),
    Knob("tissue.core", "hollow", 0.4, 0.05, 0.95, "plain", "plain", 0.2),
    Knob("tissue.gap_um", "neighbour_um", 0.8, 0.1, 4.0, "plain", "plain", 1.0),
)
# Words for the statistics of knobs, and units of those that are compared by differences.
WORDS = {
    "signal": "brightness of objects",
    "far": "light far from objects",
    "volume_um3": "volume of objects",
    "size_spread": "spread of sizes",
    "flatness": "flatness of objects",
    "tangential": "alignment with the surface",
    "brightness_spread": "spread of brightness",
    "texture": "structure within objects",
    "grain": "coarseness of this structure",
    "edge_z_um": "width of edges along z",
    "edge_xy_um": "width of edges within planes",
    "halo": "light just outside of objects",
    "glow": "light between objects",
    "dimming": "loss of light along z",
    "label_level": "brightness at which labels end",
    "elongation": "height of objects over their width",
    "objects": "number of objects",
    "tissue_width_um": "width of the tissue",
    "tissue_height_um": "height of the tissue",
    "middle": "middle of the objects along z",
    "hollow": "hollowness of the tissue",
    "neighbour_um": "distance to the nearest object",
}
UNITS = dict.fromkeys(WORDS, "") | {"far": " counts", "dimming": " per µm", "neighbour_um": " µm"}
# Where tissue fills the image, its density has the number of objects to follow.
FILLED = Knob("tissue.volume_fraction", "objects", 1.0, 0.02, 0.42, step=0.35)


def on_scale(scale: Scale, value: float) -> float:
    """Return the place of a value on a scale; NaN where it has none.

    Examples
    --------
    >>> on_scale("inverse", 50.0), on_scale("log", 0.0)
    (0.02, nan)
    """
    if not isfinite(value) or (scale != "plain" and value <= 0):
        return nan
    if scale == "plain":
        return value
    return log(value) if scale == "log" else 1 / value


def nested(values: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return dotted names as sections.

    Examples
    --------
    >>> nested({"camera.gain": 2.0, "camera.bits": 8})
    {'camera': {'gain': 2.0, 'bits': 8}}
    """
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections
