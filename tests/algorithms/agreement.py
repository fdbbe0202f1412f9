"""Runs where the tool is installed: labels by an adapter, and by the tool called directly.

``python agreement.py cellpose`` trains a tiny model of planes (and one of volumes), converts the files that the
tool wrote, and ends with exit code 1 unless all labels are equal. Prints the numbers of objects.
"""

import importlib
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from cytosuite.contract.learning import Pair
from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.progress import gathered
from cytosuite.contract.weights import Model
from cytosuite.volume import Volume

TINY = {
    "cellpose": {"n_epochs": 12, "nimg_per_epoch": 4, "batch_size": 2, "bsize": 64},
    "stardist": {
        **{"train_epochs": 2, "train_steps_per_epoch": 30, "patch": [64, 64], "volume_n_rays": 16},
        "volume_patch": [16, 32, 32],
    },
}
# Weights of a minute find little: all that the network thinks possible is an object.
LOOSE = {"cellprob_threshold": -6.0, "flow_threshold": 0.0, "min_size": 1}
if __name__ == "__main__":  # not where pytest looks for examples
    tool = sys.argv[1]
    predict, learn = (
        importlib.import_module(f"cytosuite.algorithms.{tool}.{p}") for p in ("predict", "learn")
    )


def scene(seed, *shape):
    """Return an image of bright balls in noise, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    spacing = (2.0, 0.5, 0.5)[-len(shape) :]
    places = np.stack(np.indices(shape), -1) * spacing
    for n in range(1, 9):
        far = np.square(places - rng.uniform(3, places.max(tuple(range(len(shape)))) - 3)).sum(-1)
        labels[(far < rng.uniform(9, 16)) & (labels == 0)] = n
    image = rng.normal(100, 10, shape) + 150 * (labels > 0)
    volume = Volume(image.astype(np.float32), spacing, "ZYX"[-len(shape) :])
    return volume, volume.like(labels)


def model_of(learned, folder):
    """Return a model as the runner makes it."""
    save_file(
        {k: np.ascontiguousarray(v) for k, v in learned.tensors.items()}, folder / "w.safetensors"
    )
    entries = {"name": "own", "version": "0.1.0", "algorithm": tool, "task": "segment"}
    entries |= {"description": "", "authors": "", "license": "", "sha256": str(folder)}
    parameters = dict(learned.parameters)
    if tool == "cellpose":
        parameters["evaluation"] = LOOSE
    card = ModelCard(**entries, describes={}, parameters=parameters, weights="w.safetensors")
    return Model(card, folder / "w.safetensors")


def cellpose(folder, shape, learned):
    """Return models of the tool's own file, the adapter's keywords, and labels of the tool."""
    path = next((folder / "models").iterdir())
    direct = predict.CellposeModel(gpu=False, pretrained_model=str(path), mkldnn=False)
    size = learned.parameters["diameter_um"] / 0.5
    deep = {"do_3D": True, "z_axis": 0, "anisotropy": 4.0} if len(shape) == 3 else {}

    def labels(array, converted):
        diameter = None if converted else size
        return direct.eval(array, channels=[0, 0], diameter=diameter, **deep, **LOOSE)[0]

    return path, labels


def stardist(folder, shape, learned):
    """Return the same of StarDist."""
    path = folder / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (folder / "model").iterdir():
            archive.write(file, f"model/{file.name}")
    kind = predict.KINDS["ZYXC" if len(shape) == 3 else "YXC"][0]
    direct = kind(None, name="model", basedir=str(folder))

    def labels(array, converted):
        return direct.predict_instances(predict.normalize(array, 1, 99.8))[0]

    return path, labels


if __name__ == "__main__":
    settings = tomllib.loads(Path(learn.__file__).with_name("learn.toml").read_text())
    for shape in ((96, 80), (12, 48, 40)):
        folder = Path(tempfile.mkdtemp())
        pairs = [Pair(f"{n}", *scene(n, *shape)) for n in range(6)]
        with gathered() as facts:
            learned = learn.learn(pairs, {**settings, **TINY[tool], "seed": 1}, folder)
        path, direct = {"cellpose": cellpose, "stardist": stardist}[tool](folder, shape, learned)
        (other := folder / "other").mkdir()
        for converted in (False, True):
            trained = learn.convert(path, other) if converted else learned
            (place := folder / f"{converted}").mkdir()
            model = model_of(trained, place)
            for image in (pairs[0].image, pairs[0].image.like(np.full(shape, 7.0, np.float32))):
                with gathered() as facts:
                    ours = predict.predict({"microscopy-image": image}, model)[
                        "instance-labels"
                    ].array
                theirs = np.reshape(direct(image.array, converted), shape)
                equal = np.array_equal(ours, theirs)
                objects = int(ours.max())
                sys.stdout.write(
                    f"agreement: {shape} {converted=} {equal=} {objects=} {facts.words}\n"
                )
                if not equal or not facts.network_seconds:
                    sys.exit(1)
