import pytest
from rasters import numbers_of
from spheroids import make

RECIPES = {
    "cells": {
        "tissue": {"outline": "shell", "core": 0.3, "core_tissue": 0.5, "n_nuclei": 11},
        "nucleus": {"flat_fraction": 0.3, "flat_along_surface": True, "mitotic_fraction": 0.3},
        "cells": {"enabled": True, "bleed_through": 0.1},
        "debris": {"bodies": 3, "blobs": 3},
        "optics": {"cytoplasm_spread": 0.4, "psf_growth": 0.5, "attenuation": "power"},
        "camera": {"excess": 0.5, "half_normal": 2, "sensor_blur": 0.5, "exposure": 0.8},
        "labels": {"style": "visible", "plane_level": 0.05, "haze": True, "visibility": 0.5},
    },
    "physical": {
        "tissue": {"outline": "irregular", "bumps": 0.1, "n_nuclei": 9, "arrangement": "random"},
        "nucleus": {"apoptotic_fraction": 0.2},
        "kinds": [{"name": "large"}, {"name": "small", "diameter_um": 5.0, "brightness": 2.0}],
        "optics": {"psf": "physical", "microscope": "confocal", "objective": "last"},
        "labels": {"style": "widened"},
        "image": {"stretch": 0.9},
    },
    "balls": {
        "tissue": {"outline": "fill", "n_nuclei": "auto", "volume_fraction": (0.1, 0.2)},
        "kinds": [{"name": "host"}, {"name": "guest", "share": 0}],
        "subcultures": [{"kind": "guest", "diameter_um": 20.0, "flattening": 0.8}],
        "optics": {"psf": "physical", "microscope": "lightsheet", "attenuation_delay_um": 5},
    },
}
EXPECTED = {
    "cells": {
        "cell-labels": [0.64667, 2.1531, 0.4992, 0.46425, 0.48698],
        "instance-labels": [0.10037, 0.67119, 0.37856, 0.50686, 0.4859],
        "membrane-image": [11379.0, 9378.4, 0.47442, 0.49548, 0.49478],
        "microscopy-image": [8062.2, 6725.7, 0.47445, 0.49748, 0.49632],
    },
    "physical": {
        "cell-kinds": [0.0086218, 0.12104, 0.47481, 0.49792, 0.48844],
        "instance-labels": [0.014418, 0.23588, 0.45667, 0.49819, 0.48602],
        "microscopy-image": [106.58, 9.7947, 0.47921, 0.49472, 0.49468],
    },
    "balls": {
        "cell-kinds": [0.17355, 0.39416, 0.45069, 0.51068, 0.47669],
        "instance-labels": [6.1567, 16.027, 0.4168, 0.50675, 0.48148],
        "microscopy-image": [108.28, 12.519, 0.47475, 0.49671, 0.49451],
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_case_has_the_numbers_it_always_had(name):
    sample = make(RECIPES[name], seed=7)
    volumes = {**sample.sockets, **sample.extras}
    numbers = {key: numbers_of(volume.array) for key, volume in sorted(volumes.items())}
    assert numbers == {key: pytest.approx(row, rel=2e-3) for key, row in EXPECTED[name].items()}
