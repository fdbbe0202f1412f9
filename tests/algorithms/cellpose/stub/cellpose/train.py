"""A training that only looks at its data."""

import numpy as np
import torch

seen = {}


def train_seg(net, train_data, train_labels, test_data=None, save_path=None, **keywords):
    """Run the network as often as a training would, and store its weights."""
    (save_path / "models").mkdir(exist_ok=True)
    seen.update(keywords, data=train_data, labels=train_labels, test_data=test_data)
    for _ in range(keywords["n_epochs"]):
        for _ in range(-(-keywords["nimg_per_epoch"] // keywords["batch_size"])):
            net.train()(torch.ones(1, 2, 4, 4))
        net.eval()(torch.ones(1, 2, 4, 4))
    net.diam_labels.data = torch.tensor([np.float32(21.0)])
