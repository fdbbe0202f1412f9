"""Entry point of the diffusion model: one sketch in, an image of a microscope out."""

from collections.abc import Mapping
from dataclasses import replace

from cytosuite.algorithms.diffusion.intensity import grey_values, sketch_of_labels, sketch_units
from cytosuite.algorithms.diffusion.network import load
from cytosuite.algorithms.diffusion.noise import noise_field
from cytosuite.algorithms.diffusion.parameters import Given, Parameters
from cytosuite.algorithms.diffusion.synthesise import (
    Conditional,
    Image,
    Synthesis,
    blurred,
    synthesise,
)
from cytosuite.errors import InputError, RoomError
from cytosuite.interface import image_of
from cytosuite.manifest import parameters_of
from cytosuite.memory import free_gib
from cytosuite.network import device, load_once
from cytosuite.volume import Scalar, Volume, seed_of
from cytosuite.weights import Model

SKETCH, LABELS, MADE = "structure-sketch", "instance-labels", "synthetic-image"
PLAIN_NOISE = 1 / 6  # sd of a background in units of the network, see cytosuite.normalise
_COPIES = 9  # of the image that are in memory at once, float32


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return an image of the objects of a sketch or of labels.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``structure-sketch``: objects brighter than the ground, axes ZYX or YX as the network's;
        or ``instance-labels``, of which a sketch is made. Where both are given, that one counts of
        which the card says that the network was trained on it.
    model : Model
        Card (`Parameters`) and, with a network, weights.

    Returns
    -------
    mapping of str to Volume
        ``synthetic-image``: of the same shape, spacing and axes, with grey values and dtype of the
        real images. Metadata keys that begin with ``diffusion_`` give method, steps and seed.

    Raises
    ------
    InputError
        If the sketch is one that `image_of` refuses or has other axes than the network, labels are
        no integers or missing for a network that was trained on them, memory is short, or a
        parameter of the card is unknown or out of bounds.
    ModelError
        If the model has no weights for its network.
    """
    parameters = parameters_of(model.card, Parameters)
    volume, sketch = _sketch(inputs, parameters.given)
    network: Conditional | None = None
    if parameters.network is not None:
        if len(volume.axes) != parameters.network.dimensions:
            made_for = "volumes (ZYX)" if parameters.network.dimensions == 3 else "planes (YX)"
            raise InputError(f"this network makes {made_for}, found {volume.axes}")
        network = load_once(model, parameters.network.model_dump(mode="json"), load)
    seed = seed_of(volume) if parameters.seed is None else parameters.seed
    return {MADE: from_sketch(volume, sketch, parameters, network, seed, device())}


def from_sketch(
    volume: Volume,
    sketch: Image,
    parameters: Parameters,
    network: Conditional | None,
    seed: int,
    device: str,
) -> Volume:
    """Return the image of a sketch with facts about its making.

    Parameters
    ----------
    volume : Volume
        Gives geometry and metadata.
    sketch : float32 array
        Of the same shape: ground at 0, objects at 1.
    parameters : Parameters
    network : callable or None
        A denoiser; without it the sketch is blurred and gets the noise of a background: the least
        that a network must be better than.
    seed : int
        Of the noise, 0..2**64 - 1.
    device : str
        Of the network.
    """
    deep = sketch if sketch.ndim == 3 else sketch[None]
    own = "by image" if parameters.seed is None else parameters.seed
    facts: dict[str, Scalar] = {"method": "plain", "seed": own}
    process = parameters.process
    if network is None or parameters.network is None:
        values = blurred(deep, process) + PLAIN_NOISE * noise_field(deep.shape, seed, 0)
    else:
        _check_memory(deep)
        found = synthesise(
            deep,
            network,
            parameters.network,
            process,
            tile=parameters.tile,
            seed=seed,
            device=device,
        )
        values = found.values
        facts |= {"method": "network"} | _work(found, parameters)
    image = grey_values(values.reshape(volume.shape), parameters.target)
    metadata = {f"diffusion_{key}": value for key, value in facts.items()}
    return replace(volume.like(image), metadata={**volume.metadata, **metadata})


def _work(found: Synthesis, parameters: Parameters) -> dict[str, Scalar]:
    """Return how an image was made, for its metadata."""
    process = parameters.process
    guided: dict[str, Scalar] = {"guidance": process.guidance} if process.guidance > 1 else {}
    return guided | {
        "solver": process.solver,
        "steps": process.steps,
        "t_start": process.start,
        "signal": round(float(process.schedule.signal()[process.start - 1]), 6),
        "tiles": found.tiles,
        "evaluations": found.evaluations,
    }


def _sketch(inputs: Mapping[str, Volume], given: Given) -> tuple[Volume, Image]:
    """Return the input that counts, and the sketch that it holds or that is made of its labels."""
    if given == "labels" and LABELS not in inputs and SKETCH in inputs:
        raise InputError(
            f"this model was trained on sketches of labels, expected {LABELS}, found {SKETCH} "
            "alone; give labels (integers), or another model: plain-sketch"
        )
    if given == "sketch" and SKETCH in inputs:
        volume = image_of(inputs, SKETCH)
        return volume, sketch_units(volume.array)
    volume = image_of(inputs, LABELS)
    if volume.array.dtype.kind not in "iu":
        raise InputError(f"{LABELS} must be integers, found {volume.array.dtype}")
    return volume, sketch_of_labels(volume.array)


def _check_memory(sketch: Image) -> None:
    """Refuse an image that would not fit into the free memory."""
    size, free = sketch.size * 4 * _COPIES / 2**30, free_gib()
    if free is not None and size > free:
        raise RoomError(
            f"an image of {' x '.join(map(str, sketch.shape))} voxels takes {size:.3g} GiB, "
            f"{free:.3g} GiB are free; make it in parts, or give more memory"
        )
