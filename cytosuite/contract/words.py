"""Words of options and files, apart from what they load: a help shows them."""

from collections.abc import Callable
from typing import Literal

from cytosuite.files import FloatTuple

Say = Callable[[str], None]  # gets a line for the user
ASSUME = "assume"  # in place of a voxel size: cubic voxels of 1 µm, or as wide as a pixel
Size = FloatTuple | str  # µm of a voxel's edges, as a user says
SPLITS = "splits.toml"  # file with the parts of a folder
SplitName = Literal["train", "validate", "test"]
Overlap = Literal["smallest", "last", "first", "error"]  # the mask on top
Api = Literal["invoke", "exec"]  # a container is started once, or a process per case
Format = Literal["tif", "mha"]  # of images for images of others
SEGMENTER = "watershed:spheroid-nuclei-3d"  # its masks are compared by N_IOU by default
