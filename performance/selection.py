"""Choice of a model for Fuse My Cells: the published rule beside one cost, on drawn metadata.

The published rule takes the study that the image names; without one, the study whose training
images have the nearest shape (Euclidean distance in voxels). Both choose among the shipped models.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import dist
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.metadata import described
from cytosuite.contract.select import describe, select
from cytosuite.contract.weights import read_cards
from cytosuite.errors import CytosuiteError
from cytosuite.volume import Volume

IMAGES = 4000
SCALES = (0.5, 1.25)  # of each axis: other specimens of a study are smaller or larger
ROOT = Path(__file__).parents[1]
POLICY = read_algorithm(ROOT / "algorithms" / "view_fusion" / "algorithm.toml").select
CARDS = read_cards(ROOT / "weights" / "view_fusion", "view_fusion")
NETWORKS = {
    (str(card.describes["channel"]), int(float(str(card.describes["study"])))): card
    for card in CARDS
    if "study" in card.describes
}
GENERAL = frozenset(card.name for card in CARDS if "channel" not in card.describes)
OTHERS = ["actin", "GFP", "ER", "tubulin", "nuclei and membranes", "488", "", None]
STUDIES = [0, 6, 9, 12, "x", "study 7"]


@dataclass(frozen=True)
class View:
    """The metadata of an image, and the models that are right for it."""

    right: frozenset[str]
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    metadata: Mapping[str, Any]

    def say(self, **words: object) -> "View":
        """Return a view with other metadata; None removes a key."""
        found = {**self.metadata, **words}
        return replace(self, metadata={k: v for k, v in found.items() if v is not None})


Change = Callable[[View, np.random.Generator], View]


def sizes(key: str, content: str, study: int) -> tuple[float, ...]:
    """Return voxel size or shape of the images that a network was made for."""
    found = NETWORKS[content, study].describes[key]
    assert isinstance(found, tuple)
    return found


def published(view: View) -> str:
    """Return the model of the published rule; it fails where the published program does."""
    content = "nucleus" if view.metadata["channel"] == "nucleus" else "membrane"
    known = [study for own, study in NETWORKS if own == content]
    study = int(view.metadata["study"]) if "study" in view.metadata else 0
    if study not in known:
        study = min(known, key=lambda own: dist(view.shape, sizes("shape", content, own)))
    return NETWORKS[content, study].name


def by_cost(view: View) -> str:
    """Return the model of smallest cost, by the metadata as a container reads them."""
    pixels = np.broadcast_to(np.uint16(0), view.shape)
    assumed = {"spacing_source": "assumed"} if view.spacing is None else {}
    volume = Volume(pixels, view.spacing or (1.0, 1.0, 1.0), "ZYX", {**view.metadata, **assumed})
    return select(CARDS, describe(described(volume, {})), POLICY).card.name


def drawn(rng: np.random.Generator) -> View:
    """Return an image of a random stratum as the challenge describes it."""
    content, study = list(NETWORKS)[rng.integers(len(NETWORKS))]
    shape = tuple(int(n * rng.uniform(*SCALES)) for n in sizes("shape", content, study))
    words = {"channel": content, "study": study}
    right = frozenset({NETWORKS[content, study].name})
    return View(right, shape, sizes("spacing", content, study), words)


def spelled(view: View, rng: np.random.Generator) -> View:
    """Return an image whose keys are in another case."""
    ways = [str.upper, str.title, str.lower]
    return replace(
        view, metadata={ways[rng.integers(3)](key): value for key, value in view.metadata.items()}
    )


def in_words(view: View, rng: np.random.Generator) -> View:
    """Return an image with study and channel as people write them."""
    study = view.metadata["study"]
    studies = [str(study), float(study), f"study {study}", f"Study{study}", f" {study} "]
    channels = {"nucleus": ["Nucleus", "nuclei", "DAPI", "H2B-GFP"]}.get(
        view.metadata["channel"], ["Membrane", "membranes", "cell membrane", "CAAX"]
    )
    return view.say(channel=channels[rng.integers(4)], study=studies[rng.integers(5)])


def of_another_study(view: View, rng: np.random.Generator) -> View:
    """Return an image of a study that no model knows."""
    return view.say(study=STUDIES[rng.integers(len(STUDIES))])


def of_another_content(view: View, rng: np.random.Generator) -> View:
    """Return an image of other content, or of none that it names."""
    return replace(view.say(channel=OTHERS[rng.integers(len(OTHERS))]), right=GENERAL)


def jittered(view: View, rng: np.random.Generator) -> View:
    """Return an image with a voxel size measured 5 % wrong."""
    assert view.spacing is not None
    return replace(view, spacing=tuple(edge * rng.uniform(0.95, 1.05) for edge in view.spacing))


def permuted(view: View, rng: np.random.Generator) -> View:
    """Return an image with its axes in another order, every second one with its voxel size."""
    order = rng.permutation(3)
    shape, spacing = (tuple(edges[axis] for axis in order) for edges in (view.shape, view.spacing))
    return replace(view, shape=shape, spacing=spacing if rng.integers(2) else view.spacing)


def cropped(view: View, rng: np.random.Generator, least: float = 0.25, most: float = 1.0) -> View:
    """Return an image of which a part is left along one axis."""
    axis, part = rng.integers(3), rng.uniform(least, most)
    return replace(
        view, shape=tuple(int(n * part) if k == axis else n for k, n in enumerate(view.shape))
    )


def a_quarter(view: View, rng: np.random.Generator) -> View:
    """Return an image of which a quarter is left along one axis."""
    return cropped(view, rng, 0.25, 0.25)


def without_study(view: View, rng: np.random.Generator) -> View:  # noqa: ARG001
    """Return an image that does not say its study."""
    return view.say(study=None)


def without_spacing(view: View, rng: np.random.Generator) -> View:  # noqa: ARG001
    """Return an image without a voxel size."""
    return replace(view, spacing=None)


def without_words(view: View, rng: np.random.Generator) -> View:  # noqa: ARG001
    """Return an image without metadata."""
    return replace(view, metadata={}, right=GENERAL)


TABLES: dict[str, list[Change]] = {
    "published spelling": [],
    "other case of keys": [spelled],
    "words": [in_words],
    "unknown study": [of_another_study],
    "unknown content": [of_another_content],
    "no study": [without_study],
    "no study, voxel size 5 % wrong": [without_study, jittered],
    "no study, axes permuted": [without_study, permuted],
    "no study, one axis cropped": [without_study, cropped],
    "no study, a quarter of one axis": [without_study, a_quarter],
    "voxel size missing": [without_spacing],
    "no study, voxel size missing": [without_study, without_spacing],
    "everything missing": [without_words, without_spacing],
}


def counts(rule: Callable[[View], str], changes: list[Change], images: int) -> Counter[str]:
    """Return how often a rule finds a right model, a network in place of any, and fails."""
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for _ in range(images):
        view = drawn(rng)
        for change in changes:
            view = change(view, rng)
        try:
            name = rule(view)
        except (CytosuiteError, LookupError, ValueError):
            found["failed"] += 1
        else:
            found["right"] += name in view.right
            found["network"] += name not in GENERAL
    return found


def main() -> int:
    """Print a table: shares of images in percent."""
    kinds = ("right", "network", "failed")
    print(f"{'':34}{'published':>12}{'':15}{'one cost':>12}")
    print(f"{IMAGES} images each, %".ljust(34) + "".join(f"{kind:>9}" for kind in 2 * kinds))
    for name, changes in TABLES.items():
        both = [counts(rule, changes, IMAGES) for rule in (published, by_cost)]
        cells = [100 * found[kind] / IMAGES for found in both for kind in kinds]
        print(f"{name:34}" + "".join(f"{cell:9.1f}" for cell in cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
