"""An algorithm of this library on arrays or a file: models are chosen as in its container."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cytosuite.container import MODELS, Algorithm
from cytosuite.errors import InputError, ModelError
from cytosuite.formats import write
from cytosuite.interface import input_image
from cytosuite.packages import needed_by
from cytosuite.tasks import TASKS, Socket
from cytosuite.volume import Volume

WEIGHTS = Path(__file__).parent / "weights"  # a link in a checkout, a folder in a wheel


class DoubtfulModelWarning(UserWarning):
    """The model may not be made for the image: a voxel size is assumed, or nothing fits."""


def apply(
    algorithm: str, inputs: Volume | Mapping[str, Any], *, model: str | None = None
) -> Mapping[str, Any]:
    """Return the outputs of an algorithm for one case, in this process.

    Parameters
    ----------
    algorithm : str
        Name in ``algorithms``: ``watershed``, ``cellpose3d``.
    inputs : Volume or mapping
        The main input of its task, or all inputs by the slugs of `cytosuite.tasks`.
    model : str, optional
        Name of a card in ``weights/<algorithm>``; chosen by the image's metadata without it.

    Returns
    -------
    mapping of str to Volume, or to a mapping for JSON outputs
        By slug: ``instance-labels`` of a segmentation.

    Warns
    -----
    DoubtfulModelWarning
        For each doubt about the choice, see `cytosuite.cautions.cautions`.

    Raises
    ------
    InputError
        If there is no such algorithm, a package or an input that it needs is missing, or it refuses
        one.
    ModelError
        If there is no such model, or none for such images.

    Examples
    --------
    >>> import numpy as np
    >>> block = np.pad(np.full((8, 16, 16), 200, np.uint16), 8)
    >>> image = Volume(block, (1.0, 0.5, 0.5), "ZYX", {"channel": "nucleus"})
    >>> int(apply("watershed", image)["instance-labels"].array.max())
    1
    """
    with needed_by(algorithm):
        loaded = Algorithm(algorithm, Path(), Path(), [WEIGHTS / algorithm, *MODELS])
    if isinstance(inputs, Volume):
        sockets = TASKS[loaded.manifest.task].inputs
        main = next(socket.slug for socket in sockets if socket.kind != "json")
        inputs = {main: inputs}
    if model is not None:
        known = [card.name for card in loaded.cards]
        loaded.cards = [card for card in loaded.cards if card.name == model]
        if not loaded.cards:
            raise ModelError(f"no model {model!r} of {algorithm}; there are {', '.join(known)}")
    outputs, _, doubts = loaded.answer(inputs)
    _warn(algorithm, doubts)
    return outputs


def apply_file(
    algorithm: str,
    image: str | Path,
    output: str | Path,
    models: str | Path,
    socket: str | None = None,
) -> None:
    """Write the main output of an algorithm for an image file: the voxels that its container gives.

    Parameters
    ----------
    algorithm : str
        Name in ``algorithms``.
    image : str or Path
        Its metadata and its name choose the model.
    output : str or Path
        ``.tif``, ``.mha`` or ``.h5``; parents are made.
    models : str or Path
        Folder of cards with their weights, as a container has it at ``/opt/ml/model``.
    socket : str, optional
        Slug of the input that the image is; by default the main one of the task.

    Warns
    -----
    DoubtfulModelWarning
        For each doubt about the image's metadata or the choice.

    Raises
    ------
    InputError
        If there is no such algorithm or socket, a package is missing, or the image is not readable
        or is refused.
    ModelError
        If there is no model, or none for such images.
    """
    with needed_by(algorithm):
        loaded = Algorithm(algorithm, Path(), Path(), [Path(models)])
    task = TASKS[loaded.manifest.task]
    sockets = {own.slug: own for own in task.inputs if own.kind != "json"}
    slug = next(iter(sockets)) if socket is None else socket
    if slug not in sockets:
        raise InputError(f"{algorithm}: expected one of the images {list(sockets)}, found {slug!r}")
    volume = input_image(Path(image), sockets[slug], {})
    outputs, _, doubts = loaded.answer({slug: volume})
    _warn(algorithm, [*volume.origin.warnings, *doubts])
    main = task.main_output
    assert isinstance(main, Socket)  # every task with images has one
    write(Path(output), outputs[main.slug], as_json=main.stack)


def _warn(algorithm: str, doubts: Iterable[str]) -> None:
    """Warn of each doubt, at the caller of this module's functions."""
    for doubt in doubts:
        warnings.warn(f"{algorithm}: {doubt}", DoubtfulModelWarning, stacklevel=3)
