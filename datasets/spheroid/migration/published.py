"""The keys of the parameter files of the published spheroid simulators, with their types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST = 1e9  # of any number: ratios of two can be written
Positive = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Sizes = tuple[Positive, Positive, Positive]
Law = Literal["fOld", "f1", "f2", "f2p", "f3", "f3p", "None"]
Recipe = dict[str, Any]
Version = Literal["first version", "second version", "second version with simulated cells"]


class Published(BaseModel):
    """All keys of both published versions, with their units there; None where a file lacks one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    output_path: str | None = None
    use_gpu_conv: int | None = None
    num_of_images: Count | None = None
    input_phantom_folder: str | None = None
    input_phantom_folders: tuple[str, ...] | None = None
    input_phantom_folders_prop: tuple[NotNegative, ...] | None = None
    input_fragment_folder: str | None = None
    fragment_probability: Share | None = None
    input_spheroid_mask: tuple[str, ...] | None = None
    volume_ratio_phantom: Positive | None = None
    generated_image_shape: tuple[Count, Count, Count] | tuple[()] | None = None
    px_size_phantom_img: Sizes | None = None
    px_size_mask_img: Sizes | None = None
    px_size_sim_img: Sizes | None = None
    px_size_desired: Sizes | None = None
    max_overlap: Share | None = None
    min_dist: NotNegative | None = None
    break_criterion: Count | None = None
    break_criterion_positions: Count | None = None
    break_criterion_objects: Count | None = None
    brightness_red_fuction: Law | None = None  # spelt so
    brightness_red_factor_b: Positive | None = None
    paths_psf: tuple[str, ...] | None = None
    exposure_percentage: Positive | None = None
    dc_baseline: NotNegative | None = None
    noise_gauss: NotNegative | None = None
    noise_gauss_absolute: NotNegative | None = None
    noise_poisson_factor: NotNegative | None = None
    num_of_acquisition_iterations: Count | None = None
    input_subculture_folder: str | None = None
    num_of_subcultures: Annotated[int, Field(ge=0)] | None = None
    subculture_radius_xy: Positive | None = None
    subculture_radius_z: Positive | None = None
    subculture_min_dist: NotNegative | None = None
    px_size_subculture_phantoms: Sizes | None = None

    @model_validator(mode="after")
    def _one_probability_for_each_folder(self) -> Self:
        """Refuse lists of folders and of probabilities that differ in length."""
        given = self.input_phantom_folders_prop
        if given and len(given) != len(self.input_phantom_folders or ()):
            raise ValueError(
                "input_phantom_folders_prop: needs one probability for each of the "
                f"{len(self.input_phantom_folders or ())} input_phantom_folders"
            )
        return self


SECOND = (
    *("input_phantom_folders", "input_phantom_folders_prop", "exposure_percentage"),
    *("break_criterion_positions", "break_criterion_objects"),
)
FRAGMENTS = ("input_fragment_folder", "fragment_probability")
CELLS = ("volume_ratio_phantom", "px_size_mask_img")
SUBCULTURES = tuple(name for name in Published.model_fields if "subculture" in name)
MACHINE = {
    "output_path": "where results go is not part of a recipe",
    "use_gpu_conv": "convolutions run on the CPU",
}
FIRST = ("input_phantom_folder", "min_dist", "break_criterion")
COMMON = tuple(
    name
    for name in Published.model_fields
    if name not in {*MACHINE, *FIRST, *SECOND, *FRAGMENTS, *CELLS, *SUBCULTURES}
)
EXPECTED: dict[Version, tuple[str, ...]] = {
    "first version": (*FIRST, *COMMON, *SUBCULTURES),
    "second version": ("min_dist", *SECOND, *FRAGMENTS, *COMMON, *SUBCULTURES),
    "second version with simulated cells": (*SECOND, *CELLS, *COMMON),
}


def version_of(values: Mapping[str, Any]) -> Version:
    """Return the published program that a parameter file belongs to, by the keys it alone has.

    Examples
    --------
    >>> version_of({"min_dist": 0, "fragment_probability": 0.2})
    'second version'
    """
    if set(CELLS) & set(values):
        return "second version with simulated cells"
    if set(SECOND + FRAGMENTS) & set(values):
        return "second version"
    return "first version"


@dataclass(slots=True)
class Migration:
    """A recipe made from a published parameter file, with remarks for the reader.

    Parameters
    ----------
    recipe : dict
        ``dataset``, ``title``, ``description``, ``cases``, ``references`` and ``parameters``.
    untranslated : list of str
        One line per key without counterpart, with the reason.
    notes : list of str
        One line per value that changed its meaning or is not in the file.
    """

    recipe: Recipe = field(default_factory=dict)
    untranslated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tidy(value: float) -> float:
    """Return a converted number without the digits that conversion added."""
    return float(f"{value:.7g}")
