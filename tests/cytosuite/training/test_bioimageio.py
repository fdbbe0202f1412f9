"""Models of the BioImage Model Zoo, held against its own programs."""

import inspect
from textwrap import dedent

import numpy as np
import pytest

from cytosuite.apply import WEIGHTS
from cytosuite.errors import InputError
from cytosuite.training.bioimageio import write_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of both, about torch and recommended fields


@pytest.fixture
def zoo(monkeypatch):
    """Return ``bioimageio``, its specification mended: 0.5.12 confuses pydantic 2.14."""
    pytest.importorskip("bioimageio.core")
    import bioimageio.spec
    from bioimageio.spec._internal import io_packaging
    from bioimageio.spec.model import v0_4

    for function in (io_packaging.package_file_descr_serializer, v0_4.package_weights):
        names = dict(function.__globals__)
        text = dedent(inspect.getsource(function)).replace("    info,  #", "    #")
        exec(text, names)
        monkeypatch.setattr(function, "__code__", names[function.__name__].__code__)
    return bioimageio


@pytest.mark.long
@pytest.mark.parametrize(
    "model",
    ["cellpose3d/spheroid-nuclei-3d", "cyclegan3d/ix71-embryo-3d", "view_fusion/nucleus-study1"],
)
def test_the_zoo_reproduces_the_output_of_a_model(zoo, tmp_path, model):
    path = write_model(WEIGHTS / f"{model}.json", tmp_path)
    described = zoo.spec.load_description(path, perform_io_checks=True)
    assert described.validation_summary.status != "failed"
    found = zoo.core.test_model(described, weight_format="torchscript")
    assert [entry.msg for part in found.details for entry in part.errors] == []
    assert found.status == "passed"
    image, pred = (
        np.load(side.test_tensor.download()) for side in (described.inputs[0], described.outputs[0])
    )
    assert image.shape[2:] == pred.shape[2:]
    assert pred.std() > 0


def test_a_network_that_needs_many_passes_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"culture-nuclei-2d\.json: expected a network that answ"):
        write_model(WEIGHTS / "diffusion" / "culture-nuclei-2d.json", tmp_path)
    assert not any(tmp_path.iterdir())
