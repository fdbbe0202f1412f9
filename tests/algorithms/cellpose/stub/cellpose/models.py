"""A network of one weight; objects are the bright pieces."""

import numpy as np
import torch
from scipy import ndimage


class CPnet(torch.nn.Module):
    """Multiplies an image."""

    def __init__(self, diam_mean):
        super().__init__()
        self.output = torch.nn.Conv2d(2, 3, 1)
        self.norm = torch.nn.BatchNorm2d(2)
        width = torch.ones(1) * diam_mean
        self.diam_mean = torch.nn.Parameter(width, requires_grad=False)
        self.diam_labels = torch.nn.Parameter(width, requires_grad=False)

    def forward(self, x):
        """Return flows and probabilities."""
        return self.output(self.norm(x))


class CellposeModel:
    """Finds bright pieces, and keeps the keywords of each call."""

    calls = []  # noqa: RUF012 - of all models

    def __init__(self, gpu=False, pretrained_model=False, mkldnn=True, diam_mean=30.0):
        assert not gpu
        assert not mkldnn
        self.net = CPnet(diam_mean)
        if pretrained_model:
            self.net.load_state_dict(torch.load(pretrained_model, weights_only=True), strict=False)
        self.diam_mean = self.net.diam_mean.numpy()[0]
        self.diam_labels = self.net.diam_labels.numpy()[0]

    def eval(self, x, channels=None, diameter=None, do_3D=False, z_axis=None, **more):  # noqa: N803
        """Return masks, flows and styles."""
        assert isinstance(x, np.ndarray)
        assert x.ndim == (3 if do_3D else 2)
        assert z_axis == (0 if do_3D else None)
        self.calls.append({"channels": channels, "diameter": diameter, **more})
        with torch.no_grad():
            for plane in x[None] if x.ndim == 2 else x:
                self.net.eval()(torch.ones(1, 2, *plane.shape))
        return ndimage.label(x > x.mean())[0].astype(np.uint16).squeeze(), None, None
