"""Which files a reader opens."""

import sys

import pytest

WATCHES = []


def _watch(event, args):
    """Note the file that is opened in the lists of the tests that watch."""
    for opened in WATCHES if event == "open" else ():
        opened.append(str(args[0]))


sys.addaudithook(_watch)  # there is no way to remove one


@pytest.fixture
def tif(tmp_path):
    """Return the path of a TIFF to write."""
    return tmp_path / "a.tif"


@pytest.fixture
def mha(tmp_path):
    """Return the path of a MetaImage to write."""
    return tmp_path / "a.mha"


@pytest.fixture
def h5(tmp_path):
    """Return the path of an HDF5 file to write."""
    return tmp_path / "a.h5"


@pytest.fixture
def opened():
    """Return a list that grows by the name of each file that is opened."""
    WATCHES.append([])
    yield WATCHES[-1]
    WATCHES.pop()
