"""The images themselves: what is in them, what they can read, and that a build can be repeated."""

import json
import re
import tarfile
from hashlib import sha256

import pytest
from house import ROOT

from cytosuite.benchmark.catalog.packages import lock
from cytosuite.benchmark.engines.images.build import Builder

pytestmark = [pytest.mark.docker, pytest.mark.slow]
# Runs inside: every compression of a format is written by its library and read by the core.
FORMATS = """
import h5py, numpy as np, tifffile
from pathlib import Path
from PIL import Image
from cytosuite.formats import read, write
from cytosuite.volume import Volume

array = np.arange(3 * 32 * 48).reshape(3, 32, 48).astype(np.uint16)
def same(path, expected=array):
    assert np.array_equal(read(Path(path)).array, expected), path
    print(path)
for name in ("none", "zlib", "lzw", "zstd", "packbits"):
    tifffile.imwrite(f"/tmp/{name}.tif", array, compression=name, photometric="minisblack")
    same(f"/tmp/{name}.tif")
for name in ("plain", "packed"):
    volume = Volume(array, (2.0, 0.5, 0.5), "ZYX")
    write(Path(f"/tmp/{name}.mha"), volume, compress=name == "packed")
    same(f"/tmp/{name}.mha")
for name in (None, "gzip", "lzf"):
    with h5py.File(f"/tmp/{name}.h5", "w") as file:
        file.create_dataset("data", data=array, compression=name)
    same(f"/tmp/{name}.h5")
flat = np.full((32, 48), 7, np.uint8)
for name in ("jpeg", "jpeg2000"):  # lossless in a constant image
    tifffile.imwrite(f"/tmp/{name}.tif", flat, compression=name, photometric="minisblack")
    same(f"/tmp/{name}.tif", flat)
Image.fromarray(array[0]).save("/tmp/a.png")
same("/tmp/a.png", array[0])
Image.fromarray(flat).save("/tmp/a.jpg")
same("/tmp/a.jpg", flat)
"""


@pytest.fixture(scope="module")
def watershed(client, base):
    """Return the tag of an image on the slim base."""
    return Builder(client, ROOT, say=lambda _: None).build("watershed")


@pytest.fixture
def inside(client, watershed):
    """Return a function that runs Python in the container, as strictly as a challenge does."""

    def run(code):
        return client.containers.run(
            watershed,
            ["-c", code],
            entrypoint="python3",
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": ""},
            remove=True,
        ).decode()

    return run


def test_the_slim_base_reads_every_format_and_compression(inside):
    assert len(inside(FORMATS).splitlines()) == 14


def test_an_image_is_small_without_networks_tests_and_sources_of_c(inside, client, watershed):
    assert client.images.get(watershed).attrs["Size"] < 620e6
    code = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('torch', 'monai', 'pip')])"
    assert inside(code).split() == ["[False,", "False,", "False]"]
    listing = "import pathlib; print(*pathlib.Path('/opt/python').rglob('*'), sep='\\n')"
    paths = inside(listing).splitlines()
    assert len(paths) > 3000
    assert not [
        p for p in paths if re.search(r"/tests(/|$)|\.([ach]|pyx|pxd)$|(?<!/__init__)\.pyi$", p)
    ]


def test_an_image_says_what_was_installed(inside):
    installed = inside(
        "from importlib.metadata import distributions as d\n"
        "for x in d(path=['/opt/python']): print(x.name.replace('_', '-').lower(), x.version)"
    )
    pinned = re.findall(r"(?m)^([\w.-]+)==(\S+)", lock(ROOT, "slim").read_text())
    assert sorted(installed.splitlines()) == sorted(f"{name} {version}" for name, version in pinned)
    assert inside("print(open('/var/lib/dpkg/status').read().count('\\nPackage: '))") != "0\n"
    assert inside("import os; print(os.path.isfile('/usr/share/doc/libc6/copyright'))") == "True\n"


def _archived(client, tag, folder):
    """Return the settings of an image, and for every path of every layer all but its times."""
    with (folder / "image.tar").open("wb") as stream:
        for chunk in client.images.get(tag).save():
            stream.write(chunk)
    files = {}
    with tarfile.open(folder / "image.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = json.load(archive.extractfile(manifest["Config"]))["config"]
        for number, name in enumerate(manifest["Layers"]):
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                for entry in layer:
                    content = layer.extractfile(entry).read() if entry.isreg() else b""
                    # Machine code of numba holds addresses of the process that compiled it.
                    digest = "" if entry.name.endswith(".nbc") else sha256(content).hexdigest()
                    files[number, entry.name] = (
                        entry.mode,
                        entry.uid,
                        entry.gid,
                        entry.type,
                        entry.linkname,
                        len(content),
                        digest,
                    )
    return config, files


@pytest.mark.long
def test_two_builds_from_scratch_differ_in_times_alone(client, base, tmp_path):
    labels = client.images.get(base).labels
    start = labels["org.cytosuite.base-image"]
    # What is there may stand on an older image of that name: then it is built twice.
    same = client.images.get(start).id == labels["org.cytosuite.base-image-id"]
    (first, before), (again, after) = (
        _archived(
            client,
            Builder(client, ROOT, anew=anew, base_image=start, say=lambda _: None).build(
                "watershed"
            ),
            tmp_path,
        )
        for anew in (not same, True)
    )
    assert before == after
    for config in (first, again):
        config.pop("Image", None)  # the id of the layer below, of which its time is a part
        for key in ("revision", "created"):  # of the commit, which may have changed other files
            config["Labels"].pop(f"org.opencontainers.image.{key}")
    assert first == again
