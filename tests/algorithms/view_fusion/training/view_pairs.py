"""Small views with their fused images, in each of the layouts that a training reads."""

from types import SimpleNamespace

import numpy as np
from layouts import hdf5
from light_sheet import view
from sketches import SPACING, volume

from cytosuite.contract.tasks import VIEW
from cytosuite.formats import write

FUSED = f"fused-{VIEW}"
SHAPE = (14, 40, 36)


def fused_of(seed=0):
    """Return the grey values of a grainy specimen seen well from all sides."""
    return 4 * view(seed, SHAPE, loss_per_um=0, dtype="uint16", spacing=SPACING)


def view_of(fused, seed):
    """Return a view: dimmer with depth, and noisy, so that smoothing brings it nearer."""
    rng = np.random.default_rng([seed, 1])
    light = np.linspace(1, 0.5, fused.shape[0])[:, None, None]
    return (fused * light + rng.normal(300, 100, fused.shape)).clip(0).astype(np.uint16)


def pairs(count=3):
    """Yield views and fused images."""
    for number in range(count):
        fused = fused_of(number)
        yield view_of(fused, number), fused


def _written(folder, count, place, roles=(VIEW, FUSED), **metadata):
    """Write pairs at places by number and role, and return the folder."""
    for number, images in enumerate(pairs(count)):
        for role, array in zip(roles, images, strict=True):
            write(folder / place(number, role), volume(array, **metadata))
    return folder


def dataset(folder, count=3, **metadata):
    """Write pairs in the layout of a simulated dataset, and return the folder."""

    def place(number, slug):
        return f"cases/case_{number}/sockets/images/{slug}/case_{number}.tif"

    return _written(folder, count, place, **{"channel": "nucleus", "study": 3} | metadata)


def two_folders(folder, count=3):
    """Write pairs of one name into two folders, and return the one around them."""
    return _written(folder, count, lambda n, slug: f"{slug}/a_{n}.tif", channel="membrane")


def challenge(folder):
    """Write pairs with the challenge's names at two depths, and return the folder."""

    def place(number, role):
        return f"{'study/deep/' if number else ''}image_{number}_membrane_{role}.tif"

    return _written(folder, 3, place, ("angle", "fused"))


def published(folder):
    """Write pairs as the published program converts and lists them, and return the folder."""
    rows = []
    for number, images in enumerate(pairs()):
        row = []
        for role, array in zip(("angle", "fused"), images, strict=True):
            low, high = np.percentile(array, (2, 99.8))
            name = f"Study1_H5/image_{number}_nucleus_{role}.h5"
            normed = ((array - low) / (high - low)).astype(np.float32)
            maps = {"light_map": np.zeros(SHAPE, np.uint16), "surface_distance": 0 * normed + 1}
            hdf5(folder / name, raw_image=normed, **maps if role == "angle" else {})
            row.append(name)
        rows.append(";".join(row))
    (folder / "Study1_nucleus_train.csv").write_text("\n".join(rows) + "\n")
    return folder


def item(view, maps=(), places=None):
    """Return a case of arrays as they are, as far as crops look at it."""
    bright = np.argwhere(view >= view.mean()) if places is None else np.array(places)
    return SimpleNamespace(
        fused=view,
        places=bright.astype(np.uint16),
        channels=lambda box: np.stack([view[box].astype(np.float32), *(m.read(box) for m in maps)]),
    )
