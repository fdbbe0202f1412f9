"""The texts of a MONAI bundle: metadata, configuration of an inference, README and licence."""

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

from cytosuite import __version__
from cytosuite.manifest import AlgorithmManifest, ModelCard
from cytosuite.tasks import TASKS
from cytosuite.training.network_format import NetworkFormat

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
OWN_LICENSE = "Apache-2.0"
ALONE = (
    "The voxels are those of the algorithm's container with this model. The network alone takes "
    "normalised tiles, see `configs/metadata.json`:"
)
COURSE = ("settings", "curves", "data")  # of a training: too long, or named on their own


def metadata(
    card: ModelCard, algorithm: AlgorithmManifest, network: NetworkFormat
) -> dict[str, Any]:
    """Return ``configs/metadata.json`` of a model.

    Parameters
    ----------
    card : ModelCard
    algorithm : AlgorithmManifest
        Gives title and references.
    network : NetworkFormat

    References
    ----------
    MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
    """
    sides = " x ".join(map(str, network.multiple))
    free = f"Sides z, y, x are multiples of {sides}; n may differ from side to side."
    return {
        "schema": SCHEMA,
        "version": card.version,
        "name": f"{algorithm.title}, {card.name}",
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "cytosuite": __version__,
            "safetensors": version("safetensors"),
        },
        "optional_packages_version": {},
        "task": TASKS[card.task].title,
        "description": f"{card.description} {algorithm.description}",
        "authors": card.authors,
        "copyright": f"Copyright (c) {card.authors}; licence {card.license}",
        "intended_use": purpose(card),
        "data_source": data_source(card.trained),
        "data_type": "TIFF, MetaImage",
        "image_classes": f"{'; '.join(network.inputs)}. {free}",
        "pred_classes": "; ".join(network.outputs),
        "eval_metrics": card.scores,
        "references": [f"https://doi.org/{doi}" for doi in algorithm.references],
        "network_data_format": network.data_format,
    }


def inference(card: ModelCard, network: NetworkFormat) -> dict[str, Any]:
    """Return ``configs/inference.json``: the network, and a run from image file to image file.

    Parameters
    ----------
    card : ModelCard
    network : NetworkFormat

    Notes
    -----
    The run takes the same way as the algorithm's container, from grey values to grey values; the
    network alone sees normalised tiles. MONAI puts the folder of a bundle on Python's path before
    a run, but does not name it.
    """
    look = f"next((p for p in sys.path if Path(p, 'models', '{card.name}.json').is_file()), '.')"
    return {
        "imports": ["$import sys", "$from pathlib import Path"],
        "bundle_root": f"${look}",
        "image": "image.tif",
        "output": "output.tif",
        "socket": network.socket,
        "network_def": network.definition(f"cytosuite.algorithms.{card.algorithm}.network"),
        "run": [
            {
                "_target_": "cytosuite.apply.apply_file",
                "algorithm": card.algorithm,
                "image": "@image",
                "output": "@output",
                "models": "$str(Path(@bundle_root, 'models'))",
                "socket": "@socket",
            }
        ],
    }


def readme(name: str, card: ModelCard, algorithm: AlgorithmManifest) -> str:
    """Return ``docs/README.md``: purpose, use, scores and references of a model."""
    use = (
        f"pip install '<checkout or wheel of cytosuite>[networks]' fire\nunzip {name}.zip\n"
        f"python -m monai.bundle run --config_file {name}/configs/inference.json "
        "--image in.tif --output out.tif"
    )
    load = (
        f'network = monai.bundle.load("{name}", bundle_dir=".", workflow_type="inference").eval()'
    )
    parts = [
        f"# {algorithm.title}: {card.name} {card.version}",
        card.description,
        algorithm.description,
        purpose(card),
        f"## Use\n\n```\n{use}\n```",
        f"{ALONE}\n\n```python\nimport monai\n\n{load}\n```",
        "\n".join(("## Scores", "", *_scores(card))),
        f"## Training\n\n{data_source(card.trained)} All settings: `models/{card.name}.json`.",
        "\n".join(
            ("## References", "", *(f"* https://doi.org/{doi}" for doi in algorithm.references))
        ),
        f"{card.authors}, {card.license}",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(card: ModelCard) -> Iterator[str]:
    """Yield lines on the scores of a card, and on those of simpler methods."""
    if not card.scores:
        yield "None were measured."
    for data, scores in card.scores.items():
        yield f"* {data}: {_listed(scores)}"
    for method, scores in card.baselines.items():
        yield f"* simpler method `{method}`: {_listed(scores)}"


def purpose(card: ModelCard) -> str:
    """Return a sentence about the images that a model was made for.

    Examples
    --------
    >>> from cytosuite.manifest import read_card
    >>> from cytosuite.training.publish import ALGORITHMS
    >>> folder = ALGORITHMS.parent / "weights" / "diffusion"
    >>> purpose(read_card(folder / "culture-nuclei-2d.json"))
    'Research on images with axes YX, channel nucleus, given labels; not for diagnosis.'
    """
    return f"Research on images with {_listed(card.describes)}; not for diagnosis."


def data_source(trained: Mapping[str, Any]) -> str:
    """Return a sentence about the data and the course of a training, without its settings.

    Examples
    --------
    >>> data_source({"data": {"pairs": ["94a5", "b7"]}, "cases": {"pairs": 30}, "seed": 0})
    'SHA-256 of the data: pairs 94a5 b7. Training: cases (pairs 30), seed 0.'
    """
    data = trained.get("data") or {
        key: trained[key] for key in ("dataset", "datasets") if key in trained
    }
    course = {key: value for key, value in trained.items() if key not in (*COURSE, *data)}
    return f"SHA-256 of the data: {_listed(data) or 'unknown'}. Training: {_listed(course)}."


def _listed(values: Mapping[str, Any]) -> str:
    """Return names and values as a text."""
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: object) -> str:
    """Return a value as a text: lists with spaces, objects in brackets."""
    if isinstance(value, Mapping):
        return f"({_listed(value)})"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def license_text(card: ModelCard) -> str:
    """Return the name of a card's licence and, for that of this library, its text."""
    head = f"{card.name}: {card.authors}\nSPDX-License-Identifier: {card.license}\n"
    if card.license != OWN_LICENSE:
        return f"{head}https://spdx.org/licenses/{card.license}.html\n"
    return f"{head}\n{_own_license()}"


def _own_license() -> str:
    """Return the licence of this library: that of the checkout, or of the installed package."""
    path = Path(__file__).resolve().parents[2] / "LICENSE"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    installed = [found for found in files("cytosuite") or () if found.name == "LICENSE"]
    if not installed:
        raise PackageNotFoundError("cytosuite")  # a broken installation: the wheel holds it
    return installed[0].read_text(encoding="utf-8")
