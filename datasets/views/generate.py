"""Simulate a pair of light-sheet views and the volume that is fused from them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.bodies.grid import Grid
from cytosuite.contract.tasks import VIEW
from cytosuite.datasets.physics.render import simulation_grid
from cytosuite.datasets.sample import Sample
from cytosuite.datasets.scene import generator
from cytosuite.datasets.views.light import draw_shadows, membranes, nuclei, view
from cytosuite.datasets.views.parameters import STUDIES, Acquisition, Parameters, draw_values
from cytosuite.files import Scalars
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Image, Rng, Shorts

__all__ = ["Parameters", "generate"]

LEAST = 1e-6  # of a weight: no voxel is without one
FINE_UM = (1.0, 0.4, 0.4)  # largest step of the simulation along z, y, x
MARGIN = 2.0  # standard deviations of the point spread function around the image


def _draw(rng: Rng, parameters: Parameters) -> Sample:
    """Return two opposite views and their fusion, uint16 (Z, Y, X)."""
    for_values, for_specimen, for_shadows, *for_cameras, for_optics = rng.spawn(6)
    drawn = draw_values(for_values, parameters, _number(rng))
    parameters = parameters.seen_by(for_optics, drawn.model_dump())
    detector = STUDIES[drawn.study].grid(parameters.scale)
    grid = finer(detector, parameters)
    build = nuclei if drawn.content == "nucleus" else membranes
    specimen = build(for_specimen, parameters, drawn, detector, grid)
    shadows = draw_shadows(for_shadows, parameters, drawn, detector)
    views = [
        view(specimen, shadows, parameters, drawn, (detector, grid), far)
        for far in (drawn.far, tuple(not end for end in drawn.far))
    ]
    camera = parameters.camera
    counts = [
        camera.expose(stream, camera.brighten(seen.photons))
        for stream, seen in zip(for_cameras, views, strict=True)
    ]
    images = [*counts, fused(counts, [seen.passed for seen in views], parameters.preference)]
    words = parameters.channel(drawn.content, study=drawn.study, unit="um")
    return Sample(
        sockets={
            slug: Volume(image, detector.spacing, "ZYX", words)
            for slug, image in zip((VIEW, f"second-{VIEW}", f"fused-{VIEW}"), images, strict=True)
        },
        metadata=parameters.light() | _facts(drawn),
        conditions={
            "study": f"study {drawn.study}",
            "channel": drawn.content,
            "light left [%]": 100 * float(views[0].passed.mean()),
        },
    )


generate = generator("views", Parameters, _draw)


def finer(detector: Grid, parameters: Parameters) -> Grid:
    """Return the grid of the simulation: steps of at most `FINE_UM`, a margin around the image."""
    factors = np.ceil(np.divide(detector.spacing, FINE_UM) - 1e-9)
    reach = np.multiply(MARGIN, parameters.optics.sigma_um)
    return simulation_grid(detector, factors.tolist(), reach.tolist())


def fused(
    counts: Sequence[NDArray[np.unsignedinteger | np.float32]],
    passed: Sequence[Image],
    preference: float,
) -> Shorts:
    """Return ``sum(w_i v_i) / sum(w_i)`` of views 0..65535, ``w_i = passed_i ^ preference``."""
    result = np.empty(counts[0].shape, np.uint16)
    for index, out in enumerate(result):
        weights = [np.maximum(share[index], LEAST) ** np.float32(preference) for share in passed]
        total = sum(w * view[index] for w, view in zip(weights, counts, strict=True))
        out[...] = np.rint(total / sum(weights))
    return result


def _number(rng: Rng) -> int:
    """Return the number of a case: the last of its seed's key, 0 without one."""
    seed = rng.bit_generator.seed_seq
    key = seed.spawn_key if isinstance(seed, np.random.SeedSequence) else ()
    return int(key[-1]) if key else 0


def _facts(drawn: Acquisition) -> Scalars:
    """Return the drawn values as flat scalars."""
    plain = drawn.model_dump(exclude={"illumination", "far"})
    plain |= {f"illumination_{'zyx'[axis]}": share for axis, share in drawn.illumination.items()}
    ends = zip("zyx", drawn.far, strict=True)
    return plain | {f"light_from_{axis}": "far" if end else "near" for axis, end in ends}
