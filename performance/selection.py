"""Choice of a model for Fuse My Cells: the published rule beside one cost, on simulated metadata.

The published rule takes the study that the image names; without one, the study whose training
images have the nearest shape (Euclidean distance in voxels). Pixels play no part in either.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import dist
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.errors import CytosuiteError
from cytosuite.manifest import ModelCard, read_algorithm
from cytosuite.metadata import described
from cytosuite.select import describe, select
from cytosuite.volume import Volume

IMAGES = 4000
SCALES = (0.5, 1.25)  # of each axis: other specimens of a study are smaller or larger
SPACING = {1: (1.0, 0.195, 0.195), 2: (1.0, 0.195, 0.195), 3: (1.0, 0.39, 0.39)}
SPACING |= {4: (3.0, 0.33, 0.33), 5: (1.01, 0.388, 0.388)}
SHAPE = {1: (222, 731, 860), 2: (264, 2008, 1091), 3: (891, 817, 817)}
SHAPE |= {4: (80, 1920, 1920), 5: (309, 1920, 1920)}
NETWORKS = [("nucleus", study) for study in SHAPE] + [("membrane", 1), ("membrane", 3)]
ROOT = Path(__file__).parents[1]
POLICY = read_algorithm(ROOT / "algorithms" / "view_fusion" / "algorithm.toml").select


@dataclass(frozen=True)
class View:
    """The metadata of an image, and the stratum that it comes from."""

    content: str
    study: int
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    metadata: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The right model."""
        return f"{self.content}-{self.study}"


Change = Callable[[View, np.random.Generator], View]


def cards() -> list[ModelCard]:
    """Return cards of the seven networks, of two Gaussians and of the identity."""
    networks: dict[str, dict[str, Any]] = {
        f"{content}-{study}": {
            "channel": content,
            "study": study,
            "spacing": SPACING[study],
            "shape": SHAPE[study],
        }
        for content, study in NETWORKS
    }
    gaussians: dict[str, dict[str, Any]] = {
        f"gaussian-{content}": {"channel": content, "method": "gaussian"}
        for content in ("nucleus", "membrane")
    }
    every = {**networks, **gaussians, "identity": {"method": "identity"}}
    stained = {name: {"stain": "membrane"} for name in every if "membrane" in name}
    return [
        _card(name, {"axes": "ZYX", **facts, **stained.get(name, {})})
        for name, facts in every.items()
    ]


def _card(name: str, facts: Mapping[str, Any]) -> ModelCard:
    """Return a card for some images."""
    return ModelCard(
        name=name,
        version="0.1.0",
        algorithm="view_fusion",
        task="fuse",
        description=name,
        authors="cytosuite developers",
        license="Apache-2.0",
        describes=dict(facts),
        scores={"views": {"N_SSIM": 0.0}},
    )


def published(view: View) -> str:
    """Return the model of the published rule; it fails where the published program does."""
    content = "nucleus" if view.metadata["channel"] == "nucleus" else "membrane"
    known = [study for own, study in NETWORKS if own == content]
    study = int(view.metadata["study"]) if "study" in view.metadata else 0
    if study not in SHAPE:
        study = min(known, key=lambda own: dist(view.shape, SHAPE[own]))
    if study not in known:
        raise FileNotFoundError(f"Study{study}_{content}.ckpt")
    return f"{content}-{study}"


def by_cost(view: View, models: list[ModelCard] | None = None) -> str:
    """Return the model of smallest cost, by the metadata as a container reads them."""
    pixels = np.broadcast_to(np.uint16(0), view.shape)
    assumed = {"spacing_source": "assumed"} if view.spacing is None else {}
    volume = Volume(pixels, view.spacing or (1.0, 1.0, 1.0), "ZYX", assumed)
    found = described(volume, view.metadata)
    return select(models or cards(), describe(found), POLICY).card.name


def drawn(rng: np.random.Generator, contents: str = "both") -> View:
    """Return an image of a random stratum, without its study."""
    known = [pair for pair in NETWORKS if contents in ("both", pair[0])]
    content, study = known[rng.integers(len(known))]
    shape = tuple(int(edge * rng.uniform(*SCALES)) for edge in SHAPE[study])
    return View(content, study, shape, SPACING[study], {"channel": content})


def jittered(view: View, rng: np.random.Generator) -> View:
    """Return an image with a voxel size measured 5 % wrong."""
    assert view.spacing is not None
    return replace(view, spacing=tuple(edge * rng.uniform(0.95, 1.05) for edge in view.spacing))


def without_spacing(view: View, rng: np.random.Generator) -> View:  # noqa: ARG001
    """Return an image without a voxel size."""
    return replace(view, spacing=None)


def cropped(view: View, rng: np.random.Generator) -> View:
    """Return an image of which a quarter is left along one axis."""
    shape = list(view.shape)
    axis = rng.integers(3)
    shape[axis] //= 4
    return replace(view, shape=tuple(shape))


def without_channel(view: View, rng: np.random.Generator) -> View:  # noqa: ARG001
    """Return an image that does not say its content."""
    return replace(view, metadata={})


def in_words(view: View, rng: np.random.Generator) -> View:
    """Return an image with study and channel as people write them."""
    study = view.study
    studies = [str(study), float(study), f"study {study}", f"Study{study}", f" {study} ", "", 6]
    channels = {"nucleus": ["Nucleus", "nuclei", "DAPI", "H2B-GFP"]}.get(
        view.content, ["Membrane", "membranes", "cell membrane", "CAAX"]
    )
    words = {"channel": channels[rng.integers(4)], "study": studies[rng.integers(len(studies))]}
    return replace(view, metadata=words)


def of_any_study(view: View, rng: np.random.Generator) -> View:
    """Return an image of any of the five studies, which it names."""
    study = int(rng.integers(1, 6))
    shape = tuple(int(edge * rng.uniform(*SCALES)) for edge in SHAPE[study])
    facts = {**view.metadata, "study": study}
    return View(view.content, study, shape, SPACING[study], facts)


TABLES: dict[str, tuple[str, list[Change]]] = {
    "study missing, nuclei": ("nucleus", []),
    "study missing, membranes": ("membrane", []),
    "study missing": ("both", []),
    "voxel size 5 % wrong": ("both", [jittered]),
    "voxel size missing": ("both", [without_spacing]),
    "a quarter of one axis": ("both", [cropped]),
    "a quarter, voxel size 5 % wrong": ("both", [cropped, jittered]),
    "a quarter, voxel size missing": ("both", [cropped, without_spacing]),
    "words": ("both", [in_words]),
    "channel missing": ("both", [without_channel]),
    "membranes, study named": ("membrane", [of_any_study]),
}


def counts(
    rule: Callable[[View], str], contents: str, changes: list[Change], images: int
) -> Counter[str]:
    """Return how often a rule finds the right model and content, a general model, and fails."""
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for _ in range(images):
        view = drawn(rng, contents)
        for change in changes:
            view = change(view, rng)
        try:
            name = rule(view)
        except (CytosuiteError, LookupError, OSError, ValueError):
            found["failed"] += 1
            continue
        found["model"] += name == view.model
        found["content"] += view.content in name
        found["general"] += name.startswith(("gaussian", "identity"))
    return found


def main() -> int:
    """Print a table: shares of images in percent."""
    kinds = ("model", "content", "general", "failed")
    print(f"{'':34}{'published':>12}{'':24}{'one cost':>12}")
    print(f"{IMAGES} images each, %".ljust(34) + "".join(f"{kind:>9}" for kind in 2 * kinds))
    models = cards()
    for name, (contents, changes) in TABLES.items():
        rules = (published, lambda view: by_cost(view, models))
        both = [counts(rule, contents, changes, IMAGES) for rule in rules]
        cells = [100 * found[kind] / IMAGES for found in both for kind in kinds]
        print(f"{name:34}" + "".join(f"{cell:9.1f}" for cell in cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
