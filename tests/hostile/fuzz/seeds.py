"""Small whole inputs, as writers of ours and of others make them.

An input is a tree: relative names with the content of a file, or the kind of another entry
(``fifo``, ``socket``, ``folder``, ``link:<target>``). Bytes of a name that are
no UTF-8 are lone surrogates in it, as `os.fsdecode` gives them.
"""

import hashlib
import io
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numcodecs
import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its users know
import tifffile
import zarr
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi
from zarr.storage import LocalStore

from cytosuite.benchmark.runs.record import Record
from cytosuite.contract.interface import write_case
from cytosuite.contract.metadata import acquisition
from cytosuite.contract.tasks import TASKS
from cytosuite.folders.rois import write_rois
from cytosuite.formats import write
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.volume import Volume
from tests import layouts, participants
from tests.algorithms.cyclegan3d.training import test_published
from tests.datasets.spheroid import test_migrate

Tree = dict[str, bytes | str]
ROOT = Path(__file__).parents[3]
NAMED = {"algorithm": "a", "version": "1.0.0", "case": "c", "key": "k", "status": "ok"}
RECORD = Record(**NAMED, message="größe", seconds=1.5, outputs={"instance-labels": "a.tif"})
CODECS = ("zlib", "lzw", "packbits", "lzma", "zstd", "jpeg", "jpeg2000", "png", "lerc", "jpegxl")


def ramp(shape, dtype):
    """Return an image in which the values repeat little."""
    return (np.arange(np.prod(shape)) % 113).reshape(shape).astype(dtype)


def volume(shape=(3, 6, 8), dtype=np.uint16, axes="ZYX", **metadata):
    spacing = (2.0, 0.5, 0.4)[-sum(axis in "ZYX" for axis in axes) :]
    return Volume(ramp(shape, dtype), spacing, axes, {"channel": "nucleus", "n": 3, **metadata})


def plant(folder, tree):
    """Write a tree into a folder."""
    for name, content in tree.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == "fifo":
            os.mkfifo(path)
        elif content == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.fsencode(path))
        elif content == "folder":
            path.mkdir(exist_ok=True)
        else:
            path.symlink_to(content.removeprefix("link:"))


def lifted(folder):
    """Return the files below a folder as a tree."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def written(make):
    """Return the tree that a function leaves in a folder."""
    with TemporaryDirectory() as folder:
        make(Path(folder))
        return lifted(folder)


def ours(suffix, *volumes):
    """Return trees with one file each by our own writer."""
    name = f"a{suffix}"
    return [
        written(lambda folder, one=one, flag=flag: write(folder / name, one, compress=flag))
        for one, flag in volumes
    ]


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return {"a.tif": stream.getvalue()}


def tiffs():
    """Return TIFF files of all flavours and codecs."""
    by_us = ours(
        ".tif",
        (volume(), True),
        (volume(dtype=np.uint32), True),  # OME
        (volume((2, 3, 6, 8), np.float64, "TZYX"), False),
        (volume(dtype=np.int64), False),  # JSON
        (volume((6, 8), np.uint8, "YX"), False),
    )
    grey = {"photometric": "minisblack"}
    plane = ramp((32, 32), np.uint8)
    stack = ramp((3, 6, 8), np.uint16)
    micro = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    names = {"Channel": {"Name": ["DAPI", "GFP"]}}
    others = [
        tiff(stack, **grey),
        tiff(stack, **grey, bigtiff=True),
        tiff(stack, **grey, byteorder=">", resolution=(1e4, 1e4), resolutionunit="CENTIMETER"),
        tiff(ramp((4, 6, 8), np.uint8), imagej=True, metadata={"axes": "TYX", "spacing": 2.0}),
        tiff(ramp((2, 2, 6, 8), np.uint16), imagej=True, metadata={"axes": "ZCYX", "unit": "um"}),
        tiff(ramp((2, 2, 6, 8), np.uint16), ome=True, metadata={"axes": "CZYX", **names, **micro}),
        tiff(stack, **grey, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}),
        tiff(ramp((6, 8), np.float32), **grey, rowsperstrip=2, predictor=True, compression="zlib"),
        tiff(ramp((2, 32, 32), np.uint16), **grey, tile=(16, 16), compression="zlib"),
        tiff(ramp((6, 8, 3), np.uint8), photometric="rgb"),
        *(tiff(plane, **grey, compression=codec) for codec in CODECS),
    ]
    several = io.BytesIO()
    with tifffile.TiffWriter(several) as writer:
        for shape in ((6, 8), (3, 4, 5)):
            writer.write(ramp(shape, np.uint16), photometric="minisblack", metadata={"a": 1})
    return [*by_us, *others, {"a.tif": several.getvalue()}]


def metaimages():
    """Return MetaImage files of two to four dimensions."""
    by_us = ours(
        ".mha", *((volume(s, d, "ZYX"[-len(s) :]), c) for s, d, c in
                  [((3, 6, 8), np.uint16, True), ((6, 8), np.uint8, False),
                   ((2, 3, 4), np.float64, False)])
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.mha"
        image = sitk.GetImageFromArray(ramp((2, 3, 4, 5), np.int16), isVector=False)
        image.SetMetaData("Comment", "a text of a user")
        sitk.WriteImage(image, str(path))
        return [*by_us, {"a.mha": path.read_bytes()}]


def hdf5s():
    """Return HDF5 files: ours, and one with several datasets and attributes."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["raw"] = ramp((2, 3, 4), np.uint8)
        file["raw"].attrs["element_size_um"] = [1.0, 0.5, 0.5]
        file["raw"].attrs["text"] = "abc"
        file["group/label"] = ramp((3, 4), np.int32)
        file["label"] = h5py.SoftLink("/group/label")
    by_us = ours(".h5", (volume(), True), (volume((6, 8), np.float32, "YX"), False))
    return [*by_us, {"a.h5": stream.getvalue()}]


def pictures():
    """Return PNG and JPEG files of several modes."""
    files = []
    kinds = [
        *(("png", mode) for mode in ("L", "I;16", "1", "P", "RGB")),
        ("jpg", "L"),
        ("jpg", "CMYK"),
    ]
    for suffix, mode in kinds:
        grey = Image.fromarray(ramp((12, 16), np.uint16 if mode == "I;16" else np.uint8))
        stream = io.BytesIO()
        picture = grey if mode == "I;16" else grey.convert(mode)
        picture.save(stream, "jpeg" if suffix == "jpg" else suffix)
        files.append({f"a.{suffix}": stream.getvalue()})
    moving = io.BytesIO()
    frames = [Image.fromarray(ramp((12, 16), np.uint8) + n) for n in (0, 9)]
    frames[0].save(moving, "png", save_all=True, append_images=frames[1:])
    return [*files, {"a.png": moving.getvalue()}]


def tomls():
    paths = [*ROOT.glob("datasets/*/recipes/*.toml"), *ROOT.glob("algorithms/*/algorithm.toml")]
    return [{"a.toml": path.read_bytes()} for path in sorted(paths)]


def manifests():
    """Return manifests, recipes and model cards, each by the name that it must have."""
    trees = [
        {path.relative_to(path.parents[1]).as_posix(): path.read_bytes()}
        for pattern in ("algorithms/*/algorithm.toml", "datasets/*/dataset.toml",
                        "datasets/*/recipes/*.toml", "weights/*/*.json")
        for path in sorted(ROOT.glob(pattern))
    ]  # fmt: skip
    return [tree for tree in trees if ".training." not in next(iter(tree))]


def recipes():
    return [{p.name: p.read_bytes()} for p in sorted(ROOT.glob("datasets/spheroid/recipes/*.toml"))]


def settings():
    lines = ["camera.photons=5,tissue.size_um=[40, 60, 60]", "camera.read_noise=0.5"]
    return [{"set.txt": line.encode()} for line in lines]


def parameters():
    tree = written(lambda folder: layouts.parameters(folder / "params.json"))
    content = (
        test_migrate.FIRST
        | {"paths_psf": [], "input_phantom_folder": "."}
        | json.loads(tree["params.json"])
    )
    return [tree, tree | {"params.json": json.dumps(content).encode()}]


def published():
    return [{"settings.hjson": test_published.FIRST.encode()}]


def trainings():
    return [{p.name: p.read_bytes()} for p in sorted(ROOT.glob("algorithms/u2net/training/*.toml"))]


def lists():
    """Return a list of HDF5 files of images and of labels."""
    return [written(lambda folder: layouts.listed(folder, ["x.csv"], shape=(8, 8)))]


def cards():
    """Return a folder of models: cards and weights."""
    files = {path.name: path.read_bytes() for path in ROOT.glob("weights/watershed/*.json")}
    card = json.loads(files["nuclei-2d.json"]) | {"name": "b", "weights": "b.safetensors"}
    card["sha256"] = hashlib.sha256(bytes(100)).hexdigest()
    return [files, {"b.json": json.dumps(card).encode(), "b.safetensors": bytes(100)}]


def cases():
    """Return input folders as the platform gives them."""
    facts = {"channel": "nucleus", "spacing": [2.0, 0.5, 0.4]}
    view = "fluorescence-lightsheet-3d-microscopy"
    by_task = {
        "segment": {"microscopy-image": volume(), "acquisition-metadata": facts},
        "fuse": {view: volume(), f"second-{view}": volume()},
    }
    return [
        written(lambda folder, t=task, i=inputs: write_case(folder, TASKS[t], "image", i))
        for task, inputs in by_task.items()
    ]


def folders():
    """Return folders of a user in the known layouts."""
    table = "name,depth [µm],dye\na,3,x\nb,4.5,y\n".encode()
    (image,), (mask,) = (
        [*ours(".tif", (volume(dtype=kind), True))[0].values()] for kind in (np.uint16, np.uint8)
    )
    facts = json.dumps(acquisition(volume())).encode()
    rooms = {"images/a.tif": image, "images/b.tif": image, "labels/a.tif": mask}
    rooms |= {"acquisition-metadata/a.json": facts, "conditions.csv": table}
    mixed = {"a.tif": image, "b.mha": metaimages()[0]["a.mha"], "c.png": pictures()[0]["a.png"]}
    frames = {"01/t000.tif": image, "01/t001.tif": image, "01_GT/SEG/man_seg000.tif": mask}
    return [rooms, mixed | {"notes.txt": b"x"}, frames]


def omezarrs():
    """Return images of OME-Zarr: ours as folder and file, of zarr v2 and in shards."""
    scale = {"type": "scale", "scale": [2.0, 500.0, 400.0]}
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    omero = {"channels": [{"label": "DAPI", "color": "FFFFFF"}]}
    old = {"multiscales": [image]}
    new = {"ome": {"multiscales": [image], "omero": omero}}

    def foreign(version, **options):
        def write_zarr(folder):
            store = LocalStore(folder / "a.zarr")
            group = zarr.create_group(
                store, zarr_format=version, attributes=(old, new)[version - 2]
            )
            group.create_array("0", shape=(3, 6, 8), dtype="u2", **options)[:] = volume().array

        return written(write_zarr)

    return [
        *ours(".ozx", (volume(), True), (volume((2, 3, 6, 8), np.float32, "TZYX"), False)),
        *ours(".ome.zarr", (volume(), True)),
        foreign(2, chunks=(2, 6, 8), compressors=[numcodecs.GZip()]),
        foreign(2, chunks=(3, 6, 5), compressors=[numcodecs.Blosc()], order="F"),
        foreign(3, chunks=(1, 3, 8), shards=(2, 6, 8)),
        foreign(3, chunks=(3, 6, 8), compressors=[zarr.codecs.ZstdCodec()]),
    ]


def microscopes():
    """Return beginnings of files whose writers are not free."""
    heads = {"czi": b"ZISRAWFILE", "lif": b"\x70\0\0\0", "nd2": b"\xda\xce\xbe\x0a"}
    rest = ramp((2000,), np.uint8).tobytes()
    return [{f"a.{kind}": head + rest} for kind, head in heads.items()]


def sequences():
    """Return truths and results of tracking."""
    frames = np.zeros((3, 6, 8), np.uint16)
    frames[:2, 1:3, 1:3], frames[2, 1, 1:3], frames[2, 3, 1:3] = 1, 2, 3
    tracks = [Track(1, 0, 1, 0), Track(2, 2, 2, 1), Track(3, 2, 2, 1)]
    return [
        written(lambda folder, t=truth: write_sequence(folder / "01_X", frames, tracks, truth=t))
        for truth in (True, False)
    ]


def phantoms():
    """Return a library with one nucleus."""
    label = np.zeros((8, 10, 10), np.uint8)
    label[2:6, 3:8, 3:8] = 1
    light = volume(label.shape, np.float32).like(
        ramp(label.shape, np.float32) + np.float32(200) * label
    )
    (one,), (two,) = (
        [*ours(".tif", (image, True))[0].values()] for image in (light, light.like(label))
    )
    return [{"n.tif": one, "n_label.tif": two}]


def outputs():
    """Return outputs of a container: labels or an image."""
    return [
        {f"images/{slug}/a{suffix}": ours(suffix, (volume(dtype=kind), True))[0][f"a{suffix}"]}
        for slug, kind in {"instance-labels": np.int32, "enhanced-image": np.float64}.items()
        for suffix in (".tif", ".mha", ".ozx")
    ]


def points():
    return [
        written(lambda f, end=end: participants.answer(f / f"a{end}")) for end in (".json", ".csv")
    ]


def rois():
    """Return ROIs of a volume, ours and of other kinds, in an archive and single."""
    labels = volume(dtype=np.uint16)
    traced = labels.like((labels.array // 20 + 1).astype(np.uint16))
    hole = labels.like((labels.array % 2).astype(np.uint16))
    files = [
        written(lambda f, one=one: write_rois(f / "a_rois.zip", one)) for one in (traced, hole)
    ]
    corners = np.array([(1, 1), (6, 1), (6, 4)])
    kinds = [{}, {"roitype": ROI_TYPE.RECT}, {"roitype": ROI_TYPE.OVAL, "z_position": 2}]
    for points in (corners, corners + 0.5):
        for kind in kinds:
            roi = ImagejRoi.frompoints(points, name="x", position=0)
            files.append({"a.roi": replace(roi, **kind).tobytes()})
    return files


def records():
    return [written(RECORD.write)]
