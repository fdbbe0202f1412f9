"""Cards and models: what every card must say, unless a test says it otherwise."""

from hashlib import sha256

import numpy as np

from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.weights import Model

FACTS = {"name": "tiny", "version": "0.1.0", "algorithm": "net", "task": "segment"}
FACTS |= {"description": "d", "authors": "a", "license": "MIT", "describes": {}}


def card(**facts):
    """Return a card."""
    return ModelCard.model_validate(FACTS | facts)


def model(folder, tensors, **facts):
    """Return a model whose weights are tensors, or arrays, by name."""
    from safetensors.numpy import save  # not in every environment

    arrays = {
        name: np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, order="C")
        for name, value in tensors.items()
    }
    path = folder / "tiny.safetensors"
    path.write_bytes(save(arrays))
    digest = sha256(path.read_bytes()).hexdigest()
    return Model(card(weights=path.name, sha256=digest, **facts), path)
