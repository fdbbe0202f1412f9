"""Mesmer by the program of its image: nuclei, or with COMPARTMENT=whole-cell cells, of a plane."""

import os

from case import run

PROGRAM = os.environ.get("PROGRAM", "/usr/src/app/run_app.py")
run(
    lambda image, out, pixel_um: [
        *("python", PROGRAM, "mesmer", "--nuclear-image", image, "--image-mpp", pixel_um),
        *("--compartment", os.environ.get("COMPARTMENT", "nuclear"), "--squeeze"),
        *("--output-directory", out, "--output-name", "mask.tif"),
    ],
    "mask.tif",
)
