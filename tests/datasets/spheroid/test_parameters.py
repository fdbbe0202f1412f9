import re

import pytest
from mistakes import refused

from cytosuite.contract.manifest import parse
from cytosuite.datasets.spheroid.parameters import Parameters, check


def test_kinds_inherit_what_they_do_not_say():
    nucleus = {"diameter_um": 7.0, "nucleoli": 1}
    kinds = [{"name": "a"}, {"name": "b", "nucleoli": 0}]
    a, b = Parameters.model_validate({"nucleus": nucleus, "kinds": kinds}).all_kinds()
    assert (a.diameter_um, a.nucleoli) == ((7.0, 7.0), 1)
    assert (b.diameter_um, b.nucleoli) == ((7.0, 7.0), 0)


def test_ranges_of_several_kinds_carry_their_names():
    ranges = Parameters.model_validate({"kinds": [{"name": "a"}, {"name": "b"}]}).ranges()
    names = [name for name, _, _ in ranges]
    assert {"a_diameter_um", "b_diameter_um", "photons"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "message, values",
    {
        "camera.photon is not a known key; did you mean 'photons'?": {"camera": {"photon": 20}},
        "camera.photons: must be one number or a range [low, high] with low <= high, found [80": {
            "camera": {"photons": [80, 8]}
        },
        "camera.read_noise.0: input should be greater than": {"camera": {"read_noise": [-1, 1]}},
        "optics: na must be below index_immersion = 1.33, found": {
            "optics": {"psf": "physical", "na": 1.4}
        },
        "optics.attenuation: input should be 'exponential'": {"optics": {"attenuation": "f7"}},
        "up to 200 nuclei of 10 µm at a volume_fraction of 0.3 make a spheroid of 88 x 95 x 95 "
        "µm, larger than the image of 72 x 80 x 80 µm; lower tissue.n_nuclei or nucleus.diam": {
            "tissue": {"n_nuclei": 200}
        },
        "tissue.n_nuclei.0: input should be greater than": {"tissue": {"n_nuclei": 0}},
        "shape [2000, 2000, 2000] at oversampling [1.5, 1.5, 1.5] makes 2.7e+10 simulated": {
            "image": {"shape": [2000, 2000, 2000]}
        },
        "cells.wrinkle_um: input should be less than or equal": {"cells": {"wrinkle_um": 3.1}},
        "cells.membrane_um: input should be less than or equal": {"cells": {"membrane_um": 3.1}},
        "optics.pinhole_airy: input should be less than or": {"optics": {"pinhole_airy": 21}},
        "optics.sheet_um: input should be less than or equal": {"optics": {"sheet_um": 101}},
        "nucleus.chromatin_um: input should be less than or": {"nucleus": {"chromatin_um": 150}},
        "optics.cytoplasm_um: input should be less than or": {"optics": {"cytoplasm_um": 150}},
        "tissue.n_nuclei and tissue.width_um are both auto": {"tissue": {"n_nuclei": "auto"}},
        "subcultures: kind 'b' is not among kinds: nucleus": {"subcultures": [{"kind": "b"}]},
        "tissue.n_nuclei is auto, but a blastocyst needs a number; give it": {
            "tissue": {"outline": "blastocyst", "width_um": 60, "n_nuclei": "auto"}
        },
        "subcultures have no place in a blastocyst; leave them out or take another outline": {
            "tissue": {"outline": "blastocyst"},
            "subcultures": [{"kind": "nucleus"}],
        },
        "kinds must have different names, found a, a": {"kinds": [{"name": "a"}] * 2},
        "at least one of kinds needs a share above 0": {"kinds": [{"name": "a", "share": 0}]},
        "output.channel is membrane, but cells.enabled is": {"output": {"channel": "membrane"}},
        "tissue.outline has file, but tissue.masks names no": {"tissue": {"outline": "file"}},
        "no.tif: no such file; paths count": {"optics": {"psf": "file", "psf_files": ["no.tif"]}},
    }.items(),
)
def test_mistakes_of_a_recipe_are_one_line(values, message):
    start = f"^spheroid parameters: {re.escape(message)}"
    refused(start, lambda: check(parse("spheroid parameters", values, Parameters)))
