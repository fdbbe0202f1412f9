"""What holds for every adapter of a tool; the tools are stubs."""

import numpy as np
import pytest
from adapters import Adapter, scene
from mistakes import no_model, refused

from cytosuite.contract.weights import Model
from cytosuite.volume import Volume


@pytest.mark.parametrize(
    "name, kind, epochs",
    [("cellpose", "CellposeModel", "n_epochs"), ("stardist", "StarDist2D", "train_epochs")],
)
def test_a_card_without_weights_and_an_image_of_channels_are_refused(
    name, kind, epochs, stubbed, tmp_path
):
    tool = Adapter(stubbed, tmp_path, name, kind, **{epochs: 2})
    model = tool.model(tool.learned(scene(32, 32)))
    no_model(
        rf"no weights; train a model .*{name}.* \(MODEL=path\)",
        tool.predicted,
        scene(32, 32)[0],
        Model(model.card),
    )
    two = Volume(np.ones((2, 8, 8)), (1.0, 1.0), "CYX")
    refused("found CYX: give one frame and one channel at a time", tool.predicted, two, model)
