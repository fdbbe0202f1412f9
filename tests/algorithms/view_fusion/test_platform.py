"""View fusion as Fuse My Cells runs it: its folders and files, and whatever a file may say."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.engines.hardening import Host, flags
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.files.working import owner_label

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
VIEW = Path("images") / "fluorescence-lightsheet-3D-microscopy"
FUSED = Path("images") / "fused-fluorescence-lightsheet-3D-microscopy"
NAME = "image_7_nucleus_angle.tif"
KEYS = {"spacing": 1.0, "PhysicalSizeX": 0.39, "PhysicalSizeY": 0.39, "PhysicalSizeZ": 1.0}
KEYS |= {"unit": "um", "axes": "ZYX", "channel": "nucleus", "study": 3}


def _view(shape=(20, 72, 64), dtype=np.uint16):
    """Return bright grains on a dark ground, dimmer along x."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices(shape)
    grains = np.clip(np.sin(z / 2) * np.sin(y / 4) * np.sin(x / 4), 0, 1) ** 2
    light = 20 + 180 * grains * np.exp(-x / (2 * shape[2])) + rng.normal(0, 4, shape)
    return light.clip(0, 250).astype(dtype)


def _write(path, array=None, **words):
    """Write as the challenge's template does; keys that are None are left out."""
    array = _view() if array is None else array
    metadata = {k: v for k, v in {**KEYS, **words}.items() if v is not None}
    options = {"bigtiff": True, "tile": (128, 128), "resolution": (1 / 0.39, 1 / 0.39)}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata, **options)


class _Case:
    """The folders of a case, emptied before the next as the platform does."""

    def __init__(self, folder):
        self.input, self.output = folder / "input", folder / "output"

    def fresh(self):
        for place in (self.input, self.output):
            shutil.rmtree(place, ignore_errors=True)
        (self.input / VIEW).mkdir(parents=True)
        self.output.mkdir()
        self.output.chmod(0o777)
        return self.input / VIEW

    def answer(self):
        """Return the one file of the output, which has the place and name that the challenge wants."""
        (found,) = [path for path in self.output.rglob("*") if not path.is_dir()]
        assert found == self.output / FUSED / NAME
        return found


def _like_the_view(answer, view):
    """Hold an answer against its view: shape, dtype, range of grey values, and keys."""
    array, found = tifffile.imread(view), tifffile.imread(answer)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert np.isfinite(found).all()
    low, middle, high = np.percentile(array, (2, 50, 99.8))
    places = np.percentile(found, (2, 50, 99.8))
    np.testing.assert_allclose(places, (low, middle, high), atol=1.5 * max(high - low, 1))
    with tifffile.TiffFile(answer) as file:
        words = file.shaped_metadata[0]
        assert (words["shape"], words["axes"], words["unit"]) == (list(array.shape), "ZYX", "um")
        assert words["PhysicalSizeX"] > 0
        assert file.pages[0].tags["ResolutionUnit"].value == 3
    return words


ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 4743, timeout=300)
connection.request(*sys.argv[1:])
print(connection.getresponse().status)
"""


@pytest.fixture(scope="module")
def start(client, base, tmp_path_factory):
    tag = Builder(client, ROOT, say=lambda _: None).build("view_fusion")
    folder = tmp_path_factory.mktemp("platform")
    case = _Case(folder)
    limits = Limits(memory_gib=2.0, timeout_s=300.0, cpus=2.0, output_gib=1.0)
    user = client.images.get(tag).attrs["Config"]["User"]
    chosen = flags(limits, Host.of(client.info()), owner_label(), user)
    chosen["environment"] = {}  # the platform gives none
    made = []

    def start(command=None):
        """Start the image on the folders of the case, with its own command without one."""
        binds = {str(case.input): {"bind": "/input", "mode": "ro"}}
        binds |= {str(case.output): {"bind": "/output", "mode": "rw"}}
        made.append(client.containers.run(tag, command, detach=True, volumes=binds, **chosen))
        return made[-1]

    yield SimpleNamespace(case=case, start=start)
    for container in made:
        container.remove(force=True)


@pytest.mark.long  # builds an image with torch; watershed's runs by both interfaces each time
@pytest.mark.docker
class TestInAContainer:
    """The image under the platform's flags, and stricter: no network, read-only, not root."""

    def _run(self, start):
        """Run the case by the image's own command; return exit code and lines of stderr."""
        container = start.start()
        code = container.wait(timeout=300)["StatusCode"]
        return code, container.logs(stdout=False).decode().splitlines()

    def _ask(self, container, *words):
        """Send a request from inside, as the platform does; return its status."""
        for _ in range(100):
            done = container.exec_run(["python3", "-c", ASK, *words])
            if done.exit_code == 0:
                return int(done.output)
        raise AssertionError(done.output.decode())

    def test_run_and_serve_give_the_same_bytes_for_case_after_case(self, start):
        arrays = [_view(), _view((9, 50, 41))]
        answers = []
        for array in arrays:
            view = start.case.fresh() / NAME
            _write(view, array)
            code, lines = self._run(start)
            assert code == 0, lines
            words = _like_the_view(start.case.answer(), view)
            assert {key: words[key] for key in KEYS} == KEYS
            answers.append(start.case.answer().read_bytes())
        start.case.fresh()
        server = start.start("invoke")
        assert self._ask(server, "GET", "/health") == 200
        for array, answer in zip(arrays, answers, strict=True):
            self._empty(start.case)
            _write(start.case.input / VIEW / NAME, array)
            assert self._ask(server, "POST", "/invoke") == 201
            assert start.case.answer().read_bytes() == answer

    def _empty(self, case):
        """Remove all files but not the folders, which a container holds."""
        for folder in (case.input / VIEW, case.output):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
