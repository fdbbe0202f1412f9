"""Short trainings of every network: their data by role, and settings of tiny networks."""

import sketches
import training_data
import unpaired
import view_pairs
from restorers import TINY

from cytosuite.contract.manifest import parse
from cytosuite.training.command import training_of

SCHEDULE = {"steps": 2, "report": 1, "learning_rate": 1e-2}
CROPS = {"shape": [8, 16, 16], "batch": 2}
TARGET = {"mean": 200.0, "sd": 25.0, "dtype": "uint16"}
IMAGES = {"images": training_data.simulated_folder}
PLANES = {"images": training_data.planes_folder}
DENOISER = {"widths": [4, 6], "embedding": 8}
# Writers of the data by role, and settings.
TRAININGS = {
    "cellpose3d": (IMAGES, {"network": {"widths": [4, 6, 8]}, "patches": {"shape": [16] * 3}}),
    "harmonicnet": (
        IMAGES,
        {"network": {"order": 2, "features": 4}, "patches": {"shape": [24] * 3}},
    ),
    "u2net": (
        PLANES,
        {
            "network": {"channels": 4, "middle": 2},
            "patches": {"shape": [1, 32, 32], "batch": 2, "diameter": 12.0, "near": 1.0},
        },
    ),
    "masks": (
        PLANES,
        {
            "network": {
                **DENOISER,
                "fold": 1,
                "dimensions": 2,
                "channels": 2,
                "conditioned": False,
            },
            "crops": {"shape": [1, 16, 16], "batch": 4},
            "process": {"steps": 2, "t_start": 500, "range": [-1, 1]},
        },
    ),
    "cyclegan3d": (
        {"simulated": unpaired.simulated_dataset, "real": unpaired.real_folder},
        {
            "network": {"widths": [4, 6], "blocks": 1, "fold": 2},
            "judge": {"widths": [4, 6], "norm": "spectral"},
            "crops": {**CROPS, "batch": 1, "alike": 2},
            "loss": {"pool": 2},
            "card": {"parameters": {"target": TARGET}},
        },
    ),
    "diffusion": (
        {"images": sketches.paired_dataset},
        {
            "network": DENOISER,
            "crops": {**CROPS, "shown": [8, 16, 16]},
            "process": {"steps": 2, "t_start": 500},
        },
    ),
    "view_fusion": (
        {"pairs": view_pairs.dataset},
        {"network": TINY.model_dump(mode="json"), "crops": CROPS, "schedule": {"clip": 100}},
    ),
}


def short(name, **changes):
    """Return settings of two steps of a tiny network; of a section, entries that are given win."""
    base = training_data.merged({"schedule": SCHEDULE}, TRAININGS[name][1])
    return parse("train.toml", training_data.merged(base, changes), training_of(name).settings)


def written(name, folder):
    """Write the data of a training, and return their folders by role."""
    return {role: [write(folder / role)] for role, write in TRAININGS[name][0].items()}


def cases_of(name, data, settings):
    """Return the cases of a training in its folders by role."""
    load = training_of(name).load
    return {role: load(folder, role, settings) for role, (folder,) in data.items()}


def losses_of(name, prediction, batch, **weights):
    """Return the losses of an answer with weights in place of the usual ones."""
    return training_of(name).losses(prediction, batch, short(name, loss=weights))
