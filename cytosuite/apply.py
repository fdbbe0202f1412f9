"""An algorithm of this library on arrays: models are chosen as in its container."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from cytosuite.container import MODELS, Algorithm
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, ModelError
from cytosuite.errors.packages import needed_by
from cytosuite.files import Entries
from cytosuite.volume import Volume

WEIGHTS = Path(__file__).parent / "weights"  # a link in a checkout, a folder in a wheel


class DoubtfulModelWarning(UserWarning):
    """The model may not be made for the image: a voxel size is assumed, or nothing fits."""


def apply(algorithm: str, inputs: Volume | Entries, *, model: str | None = None) -> Entries:
    """Return the outputs of an algorithm for one case, in this process.

    Parameters
    ----------
    algorithm : str
        Name in ``algorithms``: ``watershed``, ``cellpose3d``.
    inputs : Volume or mapping
        The main input of its task, or all inputs by the slugs of `cytosuite.contract.tasks`.
    model : str, optional
        Name of a card in ``weights/<algorithm>``; chosen by the image's metadata without it.

    Returns
    -------
    mapping of str to Volume, or to a mapping for JSON outputs
        By slug: ``instance-labels`` of a segmentation.

    Warns
    -----
    DoubtfulModelWarning
        For each warning on the choice, see `cytosuite.contract.choice_warnings.choice_warnings`.

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
    slugs = [socket.slug for socket in TASKS[loaded.manifest.task].inputs if socket.is_volume]
    if not isinstance(inputs, Mapping):
        inputs = {slugs[0]: inputs}
    for image in [inputs[slug] for slug in slugs if slug in inputs]:
        if not isinstance(image, Volume):
            raise InputError(
                f"{algorithm}: expected a Volume, or a mapping of inputs by slug, found "
                f"{type(image).__name__}; give Volume(array, spacing in µm, axes)"
            )
    if model is not None:
        names = [card.name for card in loaded.cards]
        loaded.cards = [card for card in loaded.cards if card.name == model]
        if not loaded.cards:
            raise ModelError(f"no model {model!r} of {algorithm}; there are {', '.join(names)}")
    outputs, _, lines = loaded.answer(inputs)
    warn_of(algorithm, lines)
    return outputs


def warn_of(algorithm: str, lines: Iterable[str]) -> None:
    """Give the warnings on a choice to Python, as `DoubtfulModelWarning`."""
    for line in lines:
        warnings.warn(f"{algorithm}: {line}", DoubtfulModelWarning, stacklevel=3)
