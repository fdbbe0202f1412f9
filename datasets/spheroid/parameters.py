"""A recipe for simulated spheroids, checked value by value."""

from collections.abc import Iterator, Mapping
from math import exp, pi, prod
from typing import Any

from pydantic import model_validator

from cytosuite.contract.spacing import text
from cytosuite.datasets.cells.parameters import Placing
from cytosuite.datasets.ranges import files_in, is_range
from cytosuite.datasets.scene import SceneParameters
from cytosuite.datasets.spheroid import sections
from cytosuite.datasets.spheroid.sections import Kind
from cytosuite.errors import InputError
from cytosuite.files import FloatDict
from cytosuite.volume.arrays import ZYX, Rng

Drawn = FloatDict

TYPICAL = 20  # number of nuclei that have the diameter of the recipe
LOGARITHMIC = {"n_nuclei", "photons", "attenuation_um"}  # drawn log-uniformly
WHOLE = {"bodies", "blobs"}  # numbers of things
# Drawn last, as they came.
LAST = (
    *("bleed_through", "cytoplasm_spread", "middle", "plane_level"),
    *("inner", "contact", "loose_um"),
)
ORDER = (  # of optics and camera, of a section those without a place come last
    *("cytoplasm", "attenuation_um", "psf_sigma_z_um", "psf_sigma_xy_um", "psf_growth", "haze"),
    *("photons", "background_photons", "read_noise", "excess", "sensor_blur"),
)
PER_OBJECT = {  # ranges from which every single object draws
    *("fragments", "fragment_brightness", "body_diameter", "body_brightness"),
    *("blob_sigma_z_um", "blob_sigma_xy_um", "blob_brightness"),
}
MAX_SAMPLES = 20_000_000_000  # simulated voxels; they are streamed, but time grows with them


class Parameters(SceneParameters):
    """Parameters of a simulated spheroid; a pair is a range from which each case draws."""

    image: sections.TissueImage = sections.TissueImage()
    tissue: sections.Tissue = sections.Tissue()
    nucleus: sections.Nucleus = sections.Nucleus()
    kinds: tuple[Kind, ...] = ()
    subcultures: tuple[sections.Subculture, ...] = ()
    cells: sections.Cells = sections.Cells()
    placement: Placing = Placing()
    debris: sections.Debris = sections.Debris()
    optics: sections.TissueOptics = sections.TissueOptics()
    camera: sections.TissueCamera = sections.TissueCamera(
        background_photons=(0.2, 2.0), read_noise=(0.5, 2.0)
    )
    labels: sections.TissueLabels = sections.TissueLabels()
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

    def all_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of cells; without any in the recipe, one called nucleus."""
        return self.kinds or (Kind(name="nucleus", **self.nucleus.model_dump()),)

    def middle_um(self, drawn: Drawn) -> ZYX:
        """Return the middle of the tissue, µm from the corner of the image."""
        z, y, x = self.image.detector.size_um
        return z * drawn["middle"], y / 2, x / 2

    def ranges(self) -> list[tuple[str, float, float]]:
        """Return name (of several kinds with a prefix), low and high of every range."""
        plain = ("image", "tissue", "cells", "debris", "optics", "camera", "labels")
        named = [("", getattr(self, name)) for name in plain]
        named += [(f"{kind.name}_" if self.kinds else "", kind) for kind in self.all_kinds()]
        ranges = [
            (prefix + name, value[0], value[1])
            for prefix, part in named
            for name, value in sorted(part, key=lambda row: [*ORDER, row[0]].index(row[0]))
            if is_range(value)
        ]
        return sorted(ranges, key=lambda row: LAST.index(row[0]) + 1 if row[0] in LAST else 0)


def draw_values(rng: Rng, parameters: Parameters) -> Drawn:
    """Return one value from each range that holds for a case, log-uniform in `LOGARITHMIC`."""
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


def check(parameters: Parameters) -> Parameters:
    """Return the parameters if they can be simulated; InputError names the first contradiction."""
    for mistake in _mistakes(parameters):
        raise InputError(f"spheroid parameters: {mistake}")
    return parameters


def spheroid_semi_axes(volume_um3: float, flattening: float) -> ZYX:
    """Return the semi-axes (z, y, x) in µm of a spheroid; flattening is height over width."""
    width = (volume_um3 * 3 / (4 * pi * flattening)) ** (1 / 3)
    return flattening * width, width, width


def _mistakes(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes: an image that takes hours, kinds, the tissue, files that are not there."""
    image = parameters.image
    tissue = parameters.tissue
    samples = prod(image.shape) * prod(image.oversampling)
    if samples > MAX_SAMPLES:
        yield (
            f"shape {list(image.shape)} at oversampling {list(image.oversampling)} makes "
            f"{samples:.1e} simulated voxels, at most {MAX_SAMPLES:.0e} are allowed; lower shape "
            "or oversampling"
        )
    names = [kind.name for kind in parameters.all_kinds()]
    listed = ", ".join(names)
    if len(set(names)) < len(names):
        yield f"kinds must have different names, found {listed}"
    if not any(kind.share > 0 for kind in parameters.all_kinds()):
        yield "at least one of kinds needs a share above 0"
    if parameters.subcultures and "blastocyst" in tissue.outline:
        yield "subcultures have no place in a blastocyst; leave them out or take another outline"
    for subculture in parameters.subcultures:
        if subculture.kind not in names:
            yield f"subcultures: kind {subculture.kind!r} is not among kinds: {listed}"
    if parameters.output.channel == "membrane" and not parameters.cells.enabled:
        yield "output.channel is membrane, but cells.enabled is false; set it to true"
    yield from _tissue(parameters)
    if "file" in tissue.outline and not tissue.masks:
        yield "tissue.outline has file, but tissue.masks names no file"
    if parameters.optics.psf == "file" and not parameters.optics.psf_files:
        yield "optics.psf is file, but optics.psf_files names no file"
    for path in files_in(parameters):
        if not path.exists():
            yield f"{path}: no such file; paths count from the recipe's folder"


def _tissue(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes of a tissue without a size, or one that is larger than the image."""
    tissue = parameters.tissue
    kinds = parameters.all_kinds()
    free = set(tissue.outline) - {"fill", "file"}
    if tissue.n_nuclei == "auto" and "blastocyst" in free and not parameters.cells.source:
        yield "tissue.n_nuclei is auto, but a blastocyst needs a number; give it"
    if not free or tissue.width_um != "auto" or parameters.cells.source:
        return
    if tissue.n_nuclei == "auto":
        yield (
            "tissue.n_nuclei and tissue.width_um are both auto, so nothing says how large the "
            "tissue is; give one of them"
        )
        return
    if tissue.may_be_cut:
        return
    nucleus = max(
        pi / 6 * kind.diameter_um[1] ** 3 * exp(4.5 * kind.diameter_spread[1] ** 2)
        for kind in kinds
    )
    volume = tissue.n_nuclei[1] * nucleus / tissue.volume_fraction[0]
    if free & {"shell", "blastocyst"}:
        volume /= 1 - min(tissue.core[1], 0.95) ** 3
    bulge = 1 + 2 * tissue.bumps[1] if "irregular" in free else 1.0
    widest = bulge * spheroid_semi_axes(volume, tissue.flattening[0])[1]
    highest = bulge * spheroid_semi_axes(volume, tissue.flattening[1])[0]
    size = (2 * highest, 2 * widest, 2 * widest)
    view = parameters.image.detector.size_um
    if any(a > b for a, b in zip(size, view, strict=True)):
        diameter = max(kind.diameter_um[1] for kind in kinds)
        yield (
            f"up to {tissue.n_nuclei[1]} nuclei of {diameter:g} µm at a volume_fraction "
            f"of {tissue.volume_fraction[0]:g} make a spheroid of {text([*map(round, size)])} µm, "
            f"larger than the image of {text(view)} µm; lower tissue.n_nuclei or "
            f"{'kinds' if parameters.kinds else 'nucleus'}.diameter_um, raise "
            "tissue.volume_fraction, image.shape or image.spacing_um, or set tissue.may_be_cut=true"
            " to let it be cut by the image"
        )
