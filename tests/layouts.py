"""Small images, in folders, lists and files as people and published programs leave them."""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
import tifffile
from house import ROOT
from PIL import Image
from rasters import away_from
from scipy import ndimage

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.series import write_series
from cytosuite.files import read_json, write_json
from cytosuite.formats import write
from cytosuite.volume import Volume

VOLUME = (16, 64, 64)
PLANE = (96, 96)
VOLUMES, PLANES = (40, 96, 96), (160, 160)  # larger than the crops of trainings
STEPS = {3: (2.0, 0.5, 0.5), 2: (0.5, 0.5)}


def scene(shape, seed=0):
    """Return an image of round nuclei, and their labels."""
    rng = np.random.default_rng(seed)
    spacing = STEPS[len(shape)]
    labels = np.zeros(shape, np.uint16)
    for label in range(1, 7):
        middle = [rng.uniform(0.2, 0.8) * n for n in shape]
        labels[(away_from(middle, shape, spacing) < 4.5) & (labels == 0)] = label
    light = ndimage.gaussian_filter(100.0 + 400.0 * (labels > 0), [0.5 / s for s in spacing])
    return rng.poisson(light).astype(np.uint16), labels


def volume(array):
    """Return a plane or volume of nuclei with the voxel size of all."""
    n = array.ndim
    return Volume(array, STEPS[n], "ZYX"[-n:], {"channel": "nucleus"})


def images(folder, shape=VOLUME, names="ab"):
    """Write images into a folder."""
    for seed, name in enumerate(names):
        write(folder / f"{name}.tif", volume(scene(shape, seed)[0]))


def labels(folder, shape=VOLUME, names="ab"):
    """Write their labels into a folder."""
    for seed, name in enumerate(names):
        write(folder / f"{name}.tif", volume(scene(shape, seed)[1]))


def annotated(home, shape=VOLUME):
    """Write a folder with images and labels."""
    images(home / "images", shape, "abcd")
    labels(home / "labels", shape, "abcd")


def image(path, shape=VOLUME):
    """Write one image."""
    write(path, volume(scene(shape)[0]))


def grey(path, array):
    """Write a plane of 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def foreign(path, array, **options):
    """Write a TIFF as another program would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.asarray(array), photometric="minisblack", **options)


def card(path):
    """Write a copy of a card."""
    write_json(path, read_json(path.parent / "spheroid-nuclei-3d.json") | {"name": path.stem})


def parameters(path):
    """Write parameters of the published simulator, and the mask that they name."""
    write(path.parent / "mask.tif", Volume((scene(VOLUME)[1] < 9).astype(np.uint8), STEPS[3]))
    sizes = dict.fromkeys(("px_size_mask_img", "px_size_sim_img", "px_size_desired"), STEPS[3])
    write_json(path, {"input_spheroid_mask": ["mask.tif"], **sizes})


def simulator(home):
    """Write two images of the published simulator with their labels."""
    for number in (1, 2):
        for suffix, array in zip(("", "_label"), scene(VOLUME, number), strict=True):
            write(home / f"000_00{number}_final{suffix}.tif", volume(array))


def masks(home, image, mask, count=6):
    """Write planes and a file for each object: where, by `image` and `mask` (name, number)."""
    for number in range(count):
        array, labels = scene(PLANE, number)
        name = f"B0{number % 3 + 1}_{number}"
        grey(home / image(name), array / 3)
        for label in range(1, labels.max() + 1):
            grey(home / mask(name, label), 255 * (labels == label))


cellular = partial(
    masks,
    image=lambda name: f"images-color/{name}.png",
    mask=lambda name, n: f"masks/{name}/{('basal', 'Unidentified')[n % 2]}/{n}.png",
)
bbbc = partial(
    masks,
    image=lambda name: f"{name}/images/{name}.png",
    mask=lambda name, n: f"{name}/masks/{n}.png",
)


def excluding(home):
    """Write a folder of classes of which one is left out."""
    cellular(home)
    (home / "masks.toml").write_text('exclude = ["Unidentified"]\n')


def cellpose(home):
    """Write planes and their labels as Cellpose leaves them."""
    for name in "abcd":
        for suffix, array in zip(("", "_masks"), scene(PLANE, ord(name)), strict=True):
            write(home / f"{name}{suffix}.tif", volume(array))


def coco(home):
    """Write a plane with two polygons."""
    grey(home / "images/a.png", scene(PLANE)[0] / 3)
    corners = [[10, 10, 30, 10, 30, 30, 10, 30], [50, 50, 80, 50, 80, 80, 50, 80]]
    image = {"id": 7, "file_name": "a.png", "height": PLANE[0], "width": PLANE[1]}
    objects = [
        {"id": n, "image_id": 7, "category_id": 1, "segmentation": [polygon]}
        for n, polygon in enumerate(corners)
    ]
    content = {"images": [image], "categories": [{"id": 1, "name": "cell"}], "annotations": objects}
    write_json(home / "instances.json", content)


def translation(home, shape=VOLUME):
    """Write volumes in the layout of the published 3D CycleGAN."""
    for part in ("trainA", "trainB", "inferenceA", "inferenceB"):
        images(home / part, shape)


def settings(path, folder):
    """Write settings of the published 3D CycleGAN."""
    content = {"experiment": "mine", "mode": "train", "direction": "BtoA", "ngf": 4, "img_dim": 3}
    content |= {"crop_size": [12, 32, 32], "batch_size": 1, "dataset_folder": folder}
    write_json(path, content)


def pix2pix(home):
    """Write labels and images in the layout of pix2pixHD."""
    for part in ("train", "test"):
        for number in range(4):
            array, numbers = scene(PLANES, number)
            grey(home / f"{part}_A" / f"{number}.png", numbers)
            grey(home / f"{part}_B" / f"{number}.png", array / 3)


def channels(home):
    """Write images and labels of two channels."""
    for number in range(4):
        for place, array in zip(("images", "labels"), scene(PLANES, number), strict=True):
            write(home / place / f"{number}.tif", Volume(np.stack([array] * 2), STEPS[2], "CYX"))


def sequences(home):
    """A movie in the layout of the Cell Tracking Challenge, with its truth."""
    write_series(
        home,
        np.random.default_rng(0),
        Parameters(shape=(96, 96), spacing_um=(0.5, 0.5), n_nuclei=4),
        frames=3,
    )


def hdf5(path, **arrays):
    """Write arrays below `data` of an HDF5 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(f"data/{name}", data=array, compression="gzip")


def listed(home, names, masks_at="instances", shape=VOLUME):
    """Write pairs of HDF5 files, and the lists of them by name."""
    for number, name in enumerate(names):
        rows = []
        for case in range(2):
            array, labels = scene(shape, 2 * number + case)
            stem = Path(name).stem
            hdf5(home / f"images/{stem}_{case}.h5", image=array.astype(np.float32))
            hdf5(home / f"masks/{stem}_{case}.h5", **{masks_at: labels})
            rows.append(f"images/{stem}_{case}.h5;masks/{stem}_{case}.h5")
        (home / name).write_text("\n".join(rows) + "\n")


def views(home, shape=(14, 40, 36), content="nucleus"):
    """Write views with metadata, and their fused images."""
    for number in range(8):
        fused = ndimage.gaussian_filter(scene(shape, number)[0].astype(np.float32), 1)
        light = np.linspace(1, 0.5, shape[0])[:, None, None]
        for role, array in (("angle", fused * light), ("fused", fused)):
            facts = {"channel": content, "study": 1}
            volume = Volume(array.astype(np.uint16), (2.0, 0.8, 0.8), "ZYX", facts)
            write(home / f"image_{number}_{content}_{role}.tif", volume)


def studies(home):
    """Write pairs as the published program converts them, and the lists in the folder above."""
    for part in ("train", "val", "test"):
        rows = []
        for number in range(3):
            array = scene(VOLUMES, number)[0].astype(np.float32) / 500
            names = [f"{part}_{number}_nucleus_{role}.h5" for role in ("angle", "fused")]
            for name in names:
                hdf5(home / name, raw_image=array)
            rows.append(";".join(names))
        (home.parent / f"study1_{part}.csv").write_text("\n".join(rows) + "\n")


def published_networks(path):
    """Write `models.pth` as the published 3D CycleGAN does."""
    import torch

    from tests.algorithms.cyclegan3d.published_generator import Generator

    torch.save({f"netG_{letter}_state_dict": Generator(3).state_dict() for letter in "AB"}, path)


def weights(path, card="cellpose3d/spheroid-nuclei-3d"):
    """Write the weights of a card as a state dict."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(ROOT / f"weights/{card}.safetensors"), path)


def request(home):
    """Write a request for masks."""
    write_json(home / "a.json", {"seed": 7, "shape": [64, 64], "spacing": [0.8, 0.8], "number": 6})


def site(path):
    """Write the settings of one worker of Slurm on this machine."""
    path.write_text('kind = "slurm"\nn_workers = 1\ncores = 1\nmemory = "2GiB"\ninterface = "lo"\n')
