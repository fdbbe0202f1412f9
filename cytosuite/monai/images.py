"""Images in MONAI's tensors: of files and simulations, in units of networks."""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from monai.data.image_reader import ImageReader
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from monai.utils.misc import ensure_tuple
from monai.utils.type_conversion import convert_to_dst_type
from numpy.typing import DTypeLike
from torch import Tensor
from torch.utils.data import Dataset

from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.files import Json, TextMap, need_folder
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import format_of
from cytosuite.networks.normalise import background_of, normalise, sketch_of_labels
from cytosuite.volume import SPATIAL, Origin, Volume
from cytosuite.volume.arrays import Array, Floats

PAIR = {"image": IMAGE.slug, "label": LABELS.slug}


class VolumeReader(ImageReader):
    """Reader of ``LoadImage`` for TIFF, MetaImage, HDF5, OME-Zarr and pictures.

    Axes stay z, y, x; the affine holds the voxel size in µm. With `stack` three axes of a TIFF are
    z, y, x, whatever it calls them.
    """

    def __init__(self, stack: bool = False) -> None:
        self.stack = stack

    def verify_suffix(self, filename: Any) -> bool:  # noqa: ANN401 - as MONAI declares it
        """Return whether all files have a known suffix."""
        return all(format_of(Path(name)) is not None for name in ensure_tuple(filename))

    def read(self, data: Any, **_: object) -> Volume:  # noqa: ANN401
        """Return the image in one file; `InputError` if it is missing or broken."""
        (path,) = ensure_tuple(data)
        return read(Path(path), axes=SPATIAL if self.stack else "")

    def get_data(self, img: Volume) -> tuple[Floats, Json]:
        """Return pixels as float32, and affine, shape, channel axis and the image's metadata."""
        return img.array.astype(np.float32), _meta(img)


def _meta(volume: Volume) -> Json:
    """Return the metadata of an image as MONAI's readers give them."""
    channels = volume.axes.removesuffix(SPATIAL[-len(volume.spacing) :])
    if channels not in ("", "C"):
        raise InputError(f"expected the axes (C) (Z) Y X, found {volume.axes}; pick one frame")
    facts = {
        "dtype": volume.array.dtype.name,
        "metadata": dict(volume.metadata),
        "axes": volume.axes,
        "origin": astuple(volume.origin),
    }
    return {
        "affine": np.diag([*volume.spacing, 1.0]),
        "spatial_shape": np.array(volume.shape[len(channels) :]),
        "original_channel_dim": 0 if channels else "no_channel",
        "volume": json.dumps(facts),  # can be collated
    }


def tensor_of(volume: Volume, dtype: DTypeLike = np.float32) -> MetaTensor:
    """Return an image as a tensor (C, Z, Y, X) or (C, Y, X), as ``LoadImage`` makes it."""
    array = volume.array.astype(dtype)
    return MetaTensor(array if "C" in volume.axes else array[None], meta=_meta(volume))


def volume_of(tensor: Tensor) -> Volume:
    """Return the image in a tensor (C, Z, Y, X) or (C, Y, X), in its file's type if it fits."""
    meta = tensor.meta if isinstance(tensor, MetaTensor) else {}
    facts = json.loads(meta.get("volume", "{}"))  # nothing of the images of other readers
    array = tensor.detach().cpu().numpy()
    axes = f"C{SPATIAL[1 - tensor.ndim :]}"
    steps = tensor.pixdim.tolist() if isinstance(tensor, MetaTensor) else [1.0] * 3
    spacing = tuple(steps[: len(axes) - 1])
    if len(array) == 1 and "C" not in facts.get("axes", ""):
        array = array[0]
        axes = axes[1:]
    with np.errstate(invalid="ignore"):
        stored = array.astype(facts.get("dtype", array.dtype), copy=False)
    array = stored if np.array_equal(stored, array) else array
    origin = Origin(*facts["origin"]) if "origin" in facts else Origin()
    return Volume(array, spacing, axes, facts.get("metadata", {}), origin)


def save_volume(image: MetaTensor, folder: str | Path) -> MetaTensor:
    """Write an image as its file, with pixel type, voxel size and metadata, and return it.

    It is (C, Z, Y, X) or (C, Y, X), by `VolumeReader` or `AlgorithmInferer`; a folder that is
    missing is made.
    """
    need_folder(Path(folder))
    write(Path(folder) / Path(image.meta["filename_or_obj"]).name, volume_of(image))
    return image


class NormaliseBackgroundd(MapTransform):
    """Intensities in units of the background's noise, linear near it, logarithmic beyond.

    ``0.5 asinh((grey value - mean) / (3 sd))`` with the background's mean and standard deviation,
    by the 5th and 30th percentile of each whole channel (C, ...): the input of this library's
    networks.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of a case, with the images in float32."""
        return _changed(self, data, lambda image: normalise(image, background_of(image)))


class SketchOfLabelsd(MapTransform):
    """Sketch of instance labels (C, ...), whole numbers: 1 inside, 0 outside and where they touch.

    Examples
    --------
    >>> SketchOfLabelsd("label")({"label": np.array([[[0, 0, 1, 1, 1, 2, 2, 2]]])})["label"][0, 0]
    array([0., 0., 1., 1., 0., 0., 1., 1.], dtype=float32)
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of a case, with the sketches in float32."""
        return _changed(self, data, lambda labels: sketch_of_labels(labels.astype(np.int64)))


def _changed(
    transform: MapTransform,
    data: Mapping[Hashable, Any],
    function: Callable[[Array], Floats],
) -> dict[Hashable, Any]:
    """Return a copy of a case, with each channel of the images changed by a function."""
    case = dict(data)
    for key in transform.key_iterator(case):
        values = np.stack([function(np.asarray(channel)) for channel in case[key]])
        case[key] = convert_to_dst_type(values, case[key], dtype=np.float32)[0]
    return case


class SimulatedDataset(Dataset[Any]):
    """Images with their labels that are simulated when they are asked for, never stored.

    Every case has a random stream of its own: it is the same for any number of workers, and case n
    is case n + 1 of ``cytosuite simulate`` with the same parameters and seed.

    `generate` and the class of `parameters` are those of ``cytosuite.datasets.<name>.generate``. A
    case, which `transform` is given, is a dictionary of tensors (C, Z, Y, X), labels int64, all
    else float32; `sockets` are slugs of volumes by its keys.
    """

    def __init__(
        self,
        generate: Callable[[np.random.Generator, Any], Sample],
        parameters: object,
        cases: int,
        seed: int = 0,
        transform: Callable[[dict[str, Tensor]], Any] | None = None,
        sockets: TextMap = PAIR,
    ) -> None:
        self.generate, self.parameters, self.cases = generate, parameters, cases
        self.seed, self.transform, self.sockets = seed, transform, sockets

    def __len__(self) -> int:
        """Return the number of cases."""
        return self.cases

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401 - as the transform makes it
        """Return a case, counted from 0."""
        if not 0 <= number < self.cases:
            raise IndexError(number)
        stream = np.random.SeedSequence(self.seed, spawn_key=(number,))
        sample = self.generate(np.random.default_rng(stream), self.parameters)
        case: dict[str, Tensor] = {
            key: tensor_of(sample.volume(slug), np.int64 if slug == LABELS.slug else np.float32)
            for key, slug in self.sockets.items()
        }
        return case if self.transform is None else self.transform(case)
