from pathlib import Path

import pytest

from cytosuite.benchmark.data.simulated import merged
from cytosuite.datasets.spheroid import generate as spheroid
from cytosuite.datasets.spheroid.checks import check
from cytosuite.datasets.spheroid.parameters import parameters_from
from cytosuite.datasets.spheroid.reference import reference_tables
from cytosuite.errors import InputError
from cytosuite.manifest import read_dataset

FOLDER = Path(spheroid.__file__).parent


@pytest.mark.parametrize("size", ["mini", "default", "full"])
def test_sizes_of_the_manifest_are_valid(size):
    manifest = read_dataset(FOLDER / "dataset.toml")
    values = merged(manifest.parameters, manifest.sizes[size].parameters)
    assert check(parameters_from(values)).image.shape


def test_readme_lists_the_parameters():
    assert reference_tables() in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_kinds_inherit_what_they_do_not_say():
    nucleus = {"diameter_um": 7.0, "nucleoli": 1}
    kinds = [{"name": "a"}, {"name": "b", "nucleoli": 0}]
    a, b = parameters_from({"nucleus": nucleus, "kinds": kinds}).all_kinds()
    assert (a.diameter_um, a.nucleoli) == ((7.0, 7.0), 1)
    assert (b.diameter_um, b.nucleoli) == ((7.0, 7.0), 0)


def test_without_kinds_there_is_one():
    (kind,) = parameters_from({"nucleus": {"nucleoli": 7}}).all_kinds()
    assert (kind.name, kind.nucleoli, kind.share) == ("nucleus", 7, 1.0)


def test_ranges_of_several_kinds_carry_their_names():
    found = parameters_from({"kinds": [{"name": "a"}, {"name": "b"}]}).ranges()
    names = [name for name, _, _ in found]
    assert {"a_diameter_um", "b_diameter_um", "photons"} <= set(names)
    assert len(names) == len(set(names))


def _misspelt(values):
    """spheroid parameters: camera.photon is not a known key; did you mean 'photons'?"""
    values["camera"] = {"photon": 20}


def _exchanged_ends(values):
    """spheroid parameters: camera.photons: must be one number or a range [low, high] with low <= \
high, found [80, 8]"""
    values["camera"] = {"photons": [80, 8]}


def _negative_noise(values):
    """spheroid parameters: camera.read_noise.0: input should be greater than or equal to 0, \
found -1"""
    values["camera"] = {"read_noise": [-1, 1]}


def _unknown_law(values):
    """spheroid parameters: optics.attenuation: input should be 'exponential', 'power' or 'none', \
found 'f7'"""
    values["optics"] = {"attenuation": "f7"}


def _too_dense(values):
    """spheroid parameters: tissue.volume_fraction.1: input should be less than or equal to \
0.55, found 0.8"""
    values["tissue"] = {"volume_fraction": [0.3, 0.8]}


def _coarser_than_the_detector(values):
    """spheroid parameters: image.oversampling.0: input should be greater than or equal to 1, \
found 0.5"""
    values["image"] = {"oversampling": [0.5, 1, 1]}


def _larger_than_the_image(values):
    """spheroid parameters: up to 200 nuclei of 10 µm at a volume_fraction of 0.3 make a spheroid \
of 88 x 95 x 95 µm, larger than the image of 72 x 80 x 80 µm; lower n_nuclei or \
diameter_um, raise volume_fraction, shape or spacing_um, or set tissue.may_be_cut to let it be \
cut by the image"""
    values["tissue"] = {"n_nuclei": 200}


def _too_many_voxels(values):
    """spheroid parameters: shape [2000, 2000, 2000] at oversampling [1.5, 1.5, 1.5] makes 2.7e+10 \
simulated voxels, at most 2e+10 are allowed; lower shape or oversampling"""
    values["image"] = {"shape": [2000, 2000, 2000]}


def _no_size(values):
    """spheroid parameters: tissue.n_nuclei and tissue.width_um are both auto, so nothing says how \
large the tissue is; give one of them"""
    values["tissue"] = {"n_nuclei": "auto"}


def _unknown_kind(values):
    """spheroid parameters: subcultures: kind 'b' is not among kinds: nucleus"""
    values["subcultures"] = [{"kind": "b"}]


def _twice_the_same_kind(values):
    """spheroid parameters: kinds must have different names, found a, a"""
    values["kinds"] = [{"name": "a"}, {"name": "a"}]


def _nobody(values):
    """spheroid parameters: at least one of kinds needs a share above 0"""
    values["kinds"] = [{"name": "a", "share": 0}]


def _membranes_without_cells(values):
    """spheroid parameters: output.channel is membrane, but cells.enabled is false; set it to \
true"""
    values["output"] = {"channel": "membrane"}


def _no_mask(values):
    """spheroid parameters: tissue.outline has file, but tissue.masks names no file"""
    values["tissue"] = {"outline": "file"}


def _missing_stack(values):
    """spheroid parameters: nowhere.tif: no such file; paths count from the recipe's folder"""
    values["optics"] = {"psf": "file", "psf_files": ["nowhere.tif"]}


MISTAKES = [
    _misspelt,
    _exchanged_ends,
    _negative_noise,
    _unknown_law,
    _too_dense,
    _coarser_than_the_detector,
    _larger_than_the_image,
    _too_many_voxels,
    _no_size,
    _unknown_kind,
    _twice_the_same_kind,
    _nobody,
    _membranes_without_cells,
    _no_mask,
    _missing_stack,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(mistake):
    values = {}
    mistake(values)
    with pytest.raises(InputError) as caught:
        check(parameters_from(values))
    assert str(caught.value) == mistake.__doc__
