"""Simulate a pair of light-sheet views and the volume that is fused from them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.physics.grid import Grid, Image
from cytosuite.datasets.physics.render import simulation_grid
from cytosuite.datasets.sample import Sample
from cytosuite.datasets.views.fusion import fused
from cytosuite.datasets.views.light import View, draw_shadows, view
from cytosuite.datasets.views.parameters import Acquisition, Parameters, draw_values
from cytosuite.datasets.views.specimen import body
from cytosuite.datasets.views.studies import STUDIES
from cytosuite.manifest import parse
from cytosuite.tasks import VIEW
from cytosuite.volume import Scalar, Volume

__all__ = ["Parameters", "generate"]

FINE_UM = (1.0, 0.4, 0.4)  # largest step of the simulation along z, y, x
MARGIN = 2.0  # standard deviations of the point spread function around the image


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return a pair of light-sheet views with the volume fused from them.

    Parameters
    ----------
    rng : numpy Generator
        The only source of chance; values, specimen, shadows and cameras draw from children it
        spawns. The same seed gives the same bytes; the last number of the seed's key, the case's,
        decides study and content.
    parameters : Parameters or mapping
        A mapping is checked first.

    Returns
    -------
    Sample
        A view, a second one from the opposite side, and their fusion, all uint16 (Z, Y, X) with
        the metadata of the challenge: ``channel`` and ``study``. Conditions: study, channel, and
        the share of light that the first view has left, in the mean over the specimen.

    Raises
    ------
    InputError
        If a parameter is not allowed, or nuclei or cells cannot be placed.
    """
    if not isinstance(parameters, Parameters):
        parameters = parse("views parameters", dict(parameters), Parameters)
    for_values, for_specimen, for_shadows, *for_cameras = rng.spawn(5)
    drawn = draw_values(for_values, parameters, _number(rng))
    views = pair_of((for_specimen, for_shadows), parameters, drawn)
    camera = Detector(parameters.gain, parameters.offset, parameters.read_noise)
    counts = [
        camera.expose(stream, expected(seen, parameters, drawn))
        for stream, seen in zip(for_cameras, views, strict=True)
    ]
    images = [*counts, fused(counts, [seen.passed for seen in views], parameters.preference)]
    words: dict[str, Scalar] = {"channel": drawn.content, "study": drawn.study, "unit": "um"}
    left, spacing = float(views[0].passed.mean()), STUDIES[drawn.study].spacing_um
    return Sample(
        sockets={
            slug: Volume(image, spacing, "ZYX", words)
            for slug, image in zip((VIEW, f"second-{VIEW}", f"fused-{VIEW}"), images, strict=True)
        },
        metadata=_facts(drawn),
        conditions={
            "study": f"study {drawn.study}",
            "channel": drawn.content,
            "light left [%]": 100 * left,
        },
    )


def pair_of(
    rngs: tuple[np.random.Generator, np.random.Generator],
    parameters: Parameters,
    drawn: Acquisition,
) -> list[View]:
    """Return the view and the opposite one of a specimen, before their cameras.

    Parameters
    ----------
    rngs : tuple of numpy Generator
        Of the specimen, and of the shadows in it.
    parameters, drawn : Parameters, Acquisition

    Raises
    ------
    InputError
        If nuclei or cells cannot be placed.
    """
    for_specimen, for_shadows = rngs
    detector = STUDIES[drawn.study].grid(parameters.scale)
    grid = finer(detector, parameters)
    found = body(for_specimen, parameters, drawn, detector, grid)
    shadows = draw_shadows(for_shadows, parameters, drawn, detector)
    opposite = tuple(not end for end in drawn.far)
    return [
        view(found, shadows, parameters, drawn, (detector, grid), far)
        for far in (drawn.far, opposite)
    ]


def expected(seen: View, parameters: Parameters, drawn: Acquisition) -> Image:
    """Return the photons (Z, Y, X) that a camera is expected to count, float32."""
    return seen.photons * np.float32(drawn.photons) + np.float32(parameters.background_photons)


def finer(detector: Grid, parameters: Parameters) -> Grid:
    """Return the grid of the simulation: steps of at most `FINE_UM`, a margin around the image."""
    steps = zip(detector.spacing, FINE_UM, strict=True)
    factors = [float(np.ceil(step / most - 1e-9)) for step, most in steps]
    reach = [MARGIN * sigma for sigma in parameters.psf_sigma_um]
    return simulation_grid(detector, factors, reach)


def _number(rng: np.random.Generator) -> int:
    """Return the number of a case: the last of its seed's key, 0 without one."""
    seed = rng.bit_generator.seed_seq
    key = seed.spawn_key if isinstance(seed, np.random.SeedSequence) else ()
    return int(key[-1]) if key else 0


def _facts(drawn: Acquisition) -> dict[str, Scalar]:
    """Return the drawn values as flat scalars."""
    plain = drawn.model_dump(exclude={"illumination", "far"})
    plain |= {f"illumination_{'zyx'[axis]}": share for axis, share in drawn.illumination.items()}
    ends = zip("zyx", drawn.far, strict=True)
    return plain | {f"light_from_{axis}": "far" if end else "near" for axis, end in ends}
