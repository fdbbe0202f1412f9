"""A network of one weight; objects are the bright pieces."""

import json
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
from scipy import ndimage


class Config2D:
    """Configuration of planes."""

    axes = "YXC"
    n_dim = 2

    def __init__(self, n_channel_in=1, rays=None, **entries):
        config = {} if rays is None else {"rays_json": {"n": rays.n}, "n_rays": rays.n}
        vars(self).update({"axes": self.axes, "n_dim": self.n_dim, "n_channel_in": n_channel_in})
        vars(self).update({"n_rays": 32, "grid": (1, 1), **config, **entries})


class Config3D(Config2D):
    """Configuration of volumes."""

    axes = "ZYXC"
    n_dim = 3


class Network:
    """Keras' model."""

    def __init__(self):
        self.weights = [SimpleNamespace(path="conv/kernel", numpy=lambda: self.values[0])]
        self.values = [np.zeros(3, np.float32)]

    def set_weights(self, values):
        """Take weights."""
        assert [value.shape for value in values] == [(3,)]
        self.values = values

    def predict(self, x):
        """Return maps."""
        return x


class StarDist2D:
    """Finds bright pieces, and keeps the keywords of each call."""

    configured = Config2D
    calls = []  # noqa: RUF012 - of all models

    def __init__(self, config, name=None, basedir="."):
        self.keras_model, self.callbacks, self.thresholds = Network(), [], {"prob": 0.5, "nms": 0.4}
        self.config = config
        if config is None:
            folder = Path(basedir) / name
            self.config = self.configured(**json.loads((folder / "config.json").read_text()))
            if (folder / "thresholds.json").is_file():
                self.thresholds = json.loads((folder / "thresholds.json").read_text())
            with h5py.File(folder / "weights_best.h5") as file:
                self.keras_model.set_weights([file["w"][:]])

    @property
    def thresholds(self):
        """Thresholds as attributes."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, values):
        self._thresholds = namedtuple("Thresholds", values)(*values.values())

    def prepare_for_training(self):
        """Make the callbacks."""

    def train(self, X, Y, validation_data, augmenter=None):  # noqa: N803
        """Look at the data as a training would."""
        for x, y in zip(X, Y, strict=True):
            part = tuple(slice(0, n) for n in self.config.train_patch_size)
            changed, turned = augmenter(x[part], y[part])
            assert changed.shape == turned.shape == y[part].shape
        self.calls.append({"seen": len(X), "held": len(validation_data[0]), "x": X[0]})
        for epoch in range(self.config.train_epochs):
            for callback in self.callbacks:
                callback(epoch, {})
        self.keras_model.values = [np.arange(3, dtype=np.float32)]

    def optimize_thresholds(self, X_val, Y_val):  # noqa: N803
        """Choose thresholds."""
        assert len(X_val) == len(Y_val) > 0
        self.thresholds = {"prob": 0.7, "nms": 0.3}

    def predict_instances(self, img, scale=None, n_tiles=None, show_tile_progress=True):
        """Return labels and their outlines."""
        self.calls.append({"scale": scale, "n_tiles": n_tiles, "thresholds": self.thresholds})
        self.keras_model.predict(img)
        return ndimage.label(img > self.thresholds.prob)[0], {}


class StarDist3D(StarDist2D):
    """The same in volumes."""

    configured = Config3D
