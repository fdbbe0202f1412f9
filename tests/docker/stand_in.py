"""Stands in for the programs of docker/external: their command lines and files; a threshold inside."""

import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage


def option(name):
    """Return the word after an option."""
    return sys.argv[sys.argv.index(name) + 1]


def main():
    """Threshold the image that the command line names, into the file that it expects."""
    if "--nuclear-image" in sys.argv:  # run_app.py of DeepCell
        assert sys.argv[1] == "mesmer"
        assert float(option("--image-mpp")) == 0.5
        assert option("--compartment") == "nuclear"
        image = Path(option("--nuclear-image"))
        out = Path(option("--output-directory")) / option("--output-name")
    elif "--image_path" in sys.argv:  # python -m cellpose
        assert {"--save_tif", "--no_npy"} < set(sys.argv)
        assert Path(option("--pretrained_model")).is_file()
        image = Path(option("--image_path"))
        out = Path(option("--savedir")) / f"{image.stem}_cp_masks.tif"
    else:  # cellprofiler
        assert sys.argv[1:4] == ["-c", "-r", "-p"]
        assert Path(option("-p")).is_file()
        (image,) = Path(option("-i")).iterdir()
        out = Path(option("-o")) / f"{image.stem}_masks.tiff"
        out.parent.mkdir()
    array = tifffile.imread(image)
    if array.min() == array.max():
        sys.exit("the stand-in fails")
    tifffile.imwrite(out, ndimage.label(array > 50)[0].astype(np.uint16))


if __name__ == "__main__":
    main()
