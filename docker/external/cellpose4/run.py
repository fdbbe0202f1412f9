"""Cellpose 4 by its command line."""

import os

from case import run

MODEL = os.environ.get("PRETRAINED", "/opt/model/cpsam")
run(
    lambda image, out, _: [
        *("python3", "-m", "cellpose", "--image_path", image, "--pretrained_model", MODEL),
        *("--savedir", out, "--save_tif", "--no_npy"),
    ],
    "*_cp_masks.tif",
)
