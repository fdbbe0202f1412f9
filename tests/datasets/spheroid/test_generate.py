from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.manifest import read_dataset
from datasets.spheroid import generate as spheroid
from datasets.spheroid.parameters import Parameters, parameters_from, reference_table

FOLDER = Path(spheroid.__file__).parent
SMALL = {"shape": (24, 96, 96), "spacing_um": (2.0, 0.5, 0.5), "n_nuclei": (10, 16)}
PLAIN = {  # nothing but shapes and light
    "brightness_spread": 0,
    "chromatin_contrast": 0,
    "nucleoli": 0,
    "mitotic_fraction": 0,
    "cytoplasm": 0,
    "haze": 0,
    "background_photons": 0,
    "read_noise": 0,
}


def _generate(seed=0, **changes):
    return spheroid.generate(np.random.default_rng(seed), SMALL | changes)


def _image(sample):
    return sample.inputs["microscopy-image"].array


def _labels(sample):
    return sample.truth["instance-labels"].array


@pytest.fixture(scope="module")
def sample():
    return _generate()


def test_image_and_labels_are_of_one_scene(sample):
    image, labels = sample.inputs["microscopy-image"], sample.truth["instance-labels"]
    assert image.shape == labels.shape == (24, 96, 96)
    assert image.spacing == labels.spacing == (2.0, 0.5, 0.5)
    assert image.array.dtype == labels.array.dtype == np.uint16
    assert image.metadata["channel"] == "nucleus"
    inside = image.array[labels.array > 0].mean()
    assert inside - 100 > 3 * (image.array[labels.array == 0].mean() - 100)


def test_labels_are_whole_and_consecutive(sample):
    labels = _labels(sample)
    assert np.unique(labels).tolist() == list(range(sample.metadata["n_nuclei"] + 1))
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1
        assert np.count_nonzero(labels == number) >= 20


def test_labels_have_the_volume_of_the_nuclei(sample):
    volume = np.count_nonzero(_labels(sample)) * 0.5
    expected = sample.metadata["n_simulated"] * sample.metadata["mean_volume_um3"]
    assert volume == pytest.approx(expected, rel=0.03)


def test_same_seed_gives_the_same_bytes(sample):
    again = _generate()
    assert _image(again).tobytes() == _image(sample).tobytes()
    assert _labels(again).tobytes() == _labels(sample).tobytes()
    assert again.metadata == sample.metadata


def test_other_seed_gives_another_scene(sample):
    other = _generate(seed=1)
    assert (_labels(other) != _labels(sample)).any()
    assert other.metadata["photons"] != sample.metadata["photons"]


def test_another_camera_leaves_the_nuclei_where_they_were(sample):
    other = _generate(gain=2.0, read_noise=5.0, psf_sigma_z_um=3.0)
    assert (_labels(other) == _labels(sample)).all()
    assert (_image(other) != _image(sample)).any()


def test_global_random_state_does_not_count(sample):
    np.random.seed(7)  # noqa: NPY002
    assert (_image(_generate()) == _image(sample)).all()


def test_metadata_is_flat_and_physical(sample):
    assert all(type(value) in (int, float, str) for value in sample.metadata.values())
    for name, low, high in parameters_from(SMALL).ranges():
        if name != "n_nuclei":
            assert low <= sample.metadata[name] <= high
    assert 0 < sample.metadata["nuclear_volume_fraction"] < 0.55
    assert sample.metadata["snr"] > 0


def test_more_photons_raise_the_snr():
    dim, bright = (_generate(photons=photons).metadata["snr"] for photons in (10, 1000))
    assert bright > 5 * dim


@pytest.mark.parametrize("length", [30.0, 80.0])
def test_attenuation_length_is_found_in_the_image(length):
    case = _generate(
        **PLAIN, attenuation_um=length, photons=1000, psf_sigma_z_um=0.4, psf_sigma_xy_um=0.2
    )
    labels, light = _labels(case), _image(case).astype(float) - 100
    step, number = case.inputs["microscopy-image"].spacing, range(1, labels.max() + 1)
    z, y, x = np.indices(labels.shape)
    semi = [case.metadata[f"spheroid_semi_axis_{axis}_um"] for axis in "zyx"]
    place = [
        (grid - (n - 1) / 2) * s for grid, n, s in zip((z, y, x), labels.shape, step, strict=True)
    ]
    entry = -semi[0] * np.sqrt((1 - (place[1] / semi[1]) ** 2 - (place[2] / semi[2]) ** 2).clip(0))
    core = ndimage.binary_erosion(labels > 0, iterations=1) * labels
    depth = ndimage.mean(place[0] - entry, core, number)
    mean = ndimage.mean(light, core, number)
    assert -1 / np.polyfit(depth, np.log(mean), 1)[0] == pytest.approx(length, rel=0.05)


@pytest.mark.parametrize("spacing", [(2.0, 0.5, 0.5), (1.5, 0.4, 0.4)])
def test_width_of_the_point_spread_function_is_found_in_the_image(spacing):
    small = SMALL | PLAIN | {"spacing_um": spacing, "n_nuclei": 1, "shape": (31, 97, 97)}

    def variances(sigma_z, sigma_xy):
        parameters = parameters_from(
            small | {"psf_sigma_z_um": sigma_z, "psf_sigma_xy_um": sigma_xy}
        )
        drawn = spheroid.draw_values(np.random.default_rng(0), parameters) | {"diameter_um": 1.0}
        point = spheroid.grow(np.random.default_rng(0), parameters, drawn)
        light = spheroid.expected_photons(np.random.default_rng(0), parameters, drawn, point)
        for axis, step in enumerate(spacing):
            profile = light.sum(axis=tuple(a for a in range(3) if a != axis), dtype=float)
            position = np.arange(len(profile)) * step
            mean = (profile * position).sum() / profile.sum()
            yield (profile * (position - mean) ** 2).sum() / profile.sum()

    # the widths of the object and of the voxel are in both and cancel
    added = np.sqrt(np.subtract(list(variances(3.0, 1.0)), list(variances(1.5, 0.5))))
    expected = np.sqrt(np.array([3.0**2 - 1.5**2, 1 - 0.5**2, 1 - 0.5**2]))
    assert added == pytest.approx(expected, rel=0.02)


def test_statistics_in_um_do_not_depend_on_the_voxel_size():
    plain = PLAIN | {"attenuation_um": 1e6, "photons": 100, "n_nuclei": 12}
    coarse = _generate(**plain)
    fine = _generate(**plain, shape=(48, 160, 160), spacing_um=(1.0, 0.3, 0.3))
    assert fine.metadata["n_nuclei"] == coarse.metadata["n_nuclei"]
    for read in (lambda s: _labels(s) > 0, lambda s: _image(s).astype(float) - 100):
        sums = [
            read(s).sum() * np.prod(s.inputs["microscopy-image"].spacing) for s in (coarse, fine)
        ]
        assert sums[0] == pytest.approx(sums[1], rel=0.03)


def test_small_objects_and_crumbs_are_tidied_away():
    labels = np.zeros((3, 8, 12), np.uint16)
    labels[:, :4, :4] = 5  # stays
    labels[1, 7, 0] = 5  # a crumb of it
    labels[1, 7, 6:9] = 2  # too small
    labels[:, 2:5, 9:] = 9  # stays
    tidied = spheroid.tidy(labels, min_voxels=10)
    assert np.bincount(tidied.ravel())[1:].tolist() == [48, 27]
    assert tidied[1, 7, 0] == tidied[1, 7, 7] == 0


def test_tissue_above_the_grid_is_counted():
    whole = spheroid.Grid((40, 5, 5), (1.0, 1.0, 1.0))
    lower = spheroid.Grid((30, 5, 5), (1.0, 1.0, 1.0), (10.0, 0.0, 0.0))
    ellipsoid = (20.0, 2.5, 2.5), (15.0, 9.0, 9.0)
    tissue, above = spheroid.tissue_mask(whole, *ellipsoid)
    assert not above.any()
    assert spheroid.tissue_mask(lower, *ellipsoid)[1] == pytest.approx(
        tissue[:10].sum(axis=0), abs=0.6
    )


def test_a_draw_too_dense_to_pack_is_lowered_within_its_range():
    parameters = parameters_from(SMALL | {"n_nuclei": 8, "volume_fraction": (0.2, 0.55)})
    rng = np.random.default_rng(0)
    drawn = spheroid.draw_values(rng, parameters) | {"volume_fraction": 0.55}
    grown = spheroid.grow(rng, parameters, drawn)
    solid = grown.nuclei.semi_axes_um.prod(axis=1).sum() / np.prod(grown.semi_axes_um)
    assert 0.2 < solid < 0.5


def test_explains_a_density_that_cannot_be_packed():
    with pytest.raises(InputError, match=r"after 2000 rounds only \d of 8 nuclei in a spheroid"):
        _generate(n_nuclei=8, volume_fraction=0.55)


@pytest.mark.parametrize("size", ["mini", "default", "full"])
def test_sizes_of_the_manifest_are_valid(size):
    manifest = read_dataset(FOLDER / "dataset.toml")
    values = manifest.parameters | manifest.sizes[size].parameters
    assert isinstance(parameters_from(values), Parameters)


def test_readme_lists_the_parameters():
    assert reference_table() in (FOLDER / "README.md").read_text(encoding="utf-8")


def _misspelt(values):
    """spheroid parameters: photon is not a known key; did you mean 'photons'?"""
    values["photon"] = 20


def _exchanged_ends(values):
    """spheroid parameters: photons: must be one number or a range [low, high] with low <= \
high, found [80, 8]"""
    values["photons"] = [80, 8]


def _negative(values):
    """spheroid parameters: roughness: input should be greater than or equal to 0, found -0.1"""
    values["roughness"] = -0.1


def _too_dense(values):
    """spheroid parameters: volume_fraction.1: input should be less than or equal to \
0.55, found 0.8"""
    values["volume_fraction"] = [0.3, 0.8]


def _coarser_than_the_detector(values):
    """spheroid parameters: oversampling.0: input should be greater than or equal to 1, found 0.5"""
    values["oversampling"] = [0.5, 1, 1]


def _larger_than_the_image(values):
    """spheroid parameters: up to 200 nuclei of 10 µm at a volume_fraction of 0.3 make a spheroid \
of 88 x 95 x 95 µm, larger than the image of 48 x 48 x 48 µm; lower n_nuclei or \
diameter_um, or raise volume_fraction, shape or spacing_um"""
    values["n_nuclei"] = 200


def _more_than_memory(values):
    """spheroid parameters: shape [2000, 2000, 2000] at oversampling [1.5, 1.5, 1.5] makes 2.7e+10 \
simulated voxels, at most 1e+09 are allowed; lower shape or \
oversampling"""
    values["shape"] = [2000, 2000, 2000]


MISTAKES = [
    _misspelt,
    _exchanged_ends,
    _negative,
    _too_dense,
    _coarser_than_the_detector,
    _larger_than_the_image,
    _more_than_memory,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(mistake):
    values = dict(SMALL)
    mistake(values)
    with pytest.raises(InputError) as caught:
        spheroid.generate(np.random.default_rng(0), values)
    assert str(caught.value) == mistake.__doc__
