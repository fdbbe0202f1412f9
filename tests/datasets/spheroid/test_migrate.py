from pathlib import Path

import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.spheroid.migration import EXPECTED, migrate
from cytosuite.datasets.spheroid.parameters import Parameters
from cytosuite.files import write_json
from cytosuite.formats import write
from cytosuite.volume import Volume

FIRST = {
    "output_path": "./out/",
    "input_phantom_folder": "./nuclei",
    "input_spheroid_mask": ["./masks/mask_0.tif"],
    "paths_psf": ["./psf/top.tif"],
    "use_gpu_conv": 0,
    "generated_image_shape": [60, 400, 800],
    "num_of_images": 3,
    "max_overlap": 0,
    "min_dist": 2,
    "break_criterion": 1000,
    "brightness_red_fuction": "f2p",
    "brightness_red_factor_b": 150,
    "dc_baseline": 15,
    "noise_gauss": 4,
    "noise_gauss_absolute": 3,
    "noise_poisson_factor": 0.5,
    "num_of_acquisition_iterations": 2,
    "px_size_phantom_img": [0.45, 0.06, 0.06],
    "px_size_sim_img": [0.9, 0.125, 0.125],
    "px_size_desired": [1.5, 0.5, 0.5],
    "input_subculture_folder": "",
    "num_of_subcultures": 0,
    "subculture_radius_xy": 175,
    "subculture_radius_z": 10,
    "subculture_min_dist": 0,
    "px_size_subculture_phantoms": [0.3, 0.04, 0.04],
}
SECOND = {
    key: value
    for key, value in FIRST.items()
    if key not in ("input_phantom_folder", "break_criterion")
} | {
    "input_phantom_folders": ["./small", "./large"],
    "input_phantom_folders_prop": [0.25, 0.75],
    "generated_image_shape": [40, 100, 200],
    "break_criterion_positions": 50,
    "break_criterion_objects": 20,
    "brightness_red_fuction": "f3p",
    "brightness_red_factor_b": 200,
    "exposure_percentage": 0.9,
    "input_fragment_folder": "./fragments",
    "fragment_probability": 0.2,
    "px_size_sim_img": [1.5, 0.5, 0.5],
}


@pytest.fixture
def translated(tmp_path):
    def run(values, **changes):
        path = tmp_path / "params.json"
        write_json(path, values | changes)
        return migrate(path)

    return run


def test_paths_count_from_the_folder_of_the_recipe(tmp_path, monkeypatch):
    root = tmp_path / "published"
    for place in ("nuclei", "Simulation", "masks", "out"):
        (root / place).mkdir(parents=True)
    mask = Volume(np.ones((4, 8, 8), np.uint8), (1.0, 1.0, 1.0), "ZYX")
    write(root / "masks/mask_0.tif", mask)  # from the current folder
    write(root / "Simulation/psf/top.tif", mask)  # from that of the parameters
    write_json(root / "Simulation/params.json", FIRST)
    monkeypatch.chdir(root)
    parameters = migrate(Path("Simulation/params.json"), Path("out")).recipe["parameters"]
    assert parameters["tissue"]["masks"] == ["../masks/mask_0.tif"]
    assert parameters["optics"]["psf_files"] == ["../Simulation/psf/top.tif"]
    assert parameters["nucleus"]["phantoms"] == "../nuclei"


def _parts(parameters, expected):
    """Return what a recipe says where something is expected."""
    return {name: {key: parameters[name][key] for key in part} for name, part in expected.items()}


def test_first_version_in_our_units(translated):
    recipe = translated(FIRST).recipe
    assert (recipe["dataset"], recipe["cases"]) == ("spheroid", 3)
    assert recipe["references"] == ["10.1371/journal.pone.0283828"]
    parameters = recipe["parameters"]
    assert parameters["image"]["oversampling"] == pytest.approx([5 / 3, 4, 4])
    expected = {  # the shape counted voxels of the simulation; a gap is 2 voxels of 0.125 µm
        "image": {"spacing_um": [1.5, 0.5, 0.5], "shape": [36, 100, 200]},
        "tissue": {"arrangement": "random", "n_nuclei": "auto", "break_criterion": 1000}
        | {"gap_um": 0.25, "masks": ["./masks/mask_0.tif"]},
        "nucleus": {"phantoms": "./nuclei", "phantoms_um": [0.45, 0.06, 0.06]},
        "optics": {"attenuation": "power", "attenuation_um": 225, "psf_um": [0.9, 0.125, 0.125]},
        # half a photon per grey value, 4 grey values of noise, 240 above the offset
        "camera": {"gain": 2, "read_noise": 2, "half_normal": 3, "offset": 15, "averaging": 2}
        | {"bits": 8, "exposure": 1, "photons": 120},
    }
    assert _parts(parameters, expected) == expected
    assert not {"kinds", "subcultures"} & set(parameters)


def test_second_version_has_kinds_exposure_and_fragments(translated):
    recipe = translated(SECOND).recipe
    parameters = recipe["parameters"]
    assert recipe["references"] == ["10.1038/s42003-025-07469-2"]
    assert [(k["name"], k["share"], k["phantoms"]) for k in parameters["kinds"]] == [
        ("kind1", 0.25, "./small"),
        ("kind2", 0.75, "./large"),
    ]
    expected = {  # the shape is that of the output; a delay is 10 voxels of 1.5 µm
        "image": {"shape": [40, 100, 200], "oversampling": [1, 1, 1]},
        "camera": {"exposure": 0.9},
        "tissue": {"break_criterion": 1000},
        "optics": {"attenuation_um": 300, "attenuation_delay_um": 15},
        "nucleus": {"apoptotic_fraction": 0.2},
        "debris": {"fragment_brightness": 10},
    }
    assert _parts(parameters, expected) == expected


@pytest.mark.parametrize(
    "law, length, delay, floor",
    [
        ("f2", 225, 0, 0),
        ("f3", 300, 15, 0),
        ("f3p", 225, 15, 0),
        ("f1", 1.5 * 75, -7.5, 0),  # 60 simulated slices and 15 appended ones
        ("fOld", 1.5 * 75, 0, 0.2),
    ],
)
def test_attenuation_laws(translated, law, length, delay, floor):
    optics = translated(FIRST, brightness_red_fuction=law).recipe["parameters"]["optics"]
    assert optics["attenuation_um"] == length
    assert optics.get("attenuation_delay_um", 0) == delay
    assert optics.get("attenuation_floor", 0) == floor


def test_subcultures_are_a_kind_in_balls(translated):
    migrated = translated(FIRST, num_of_subcultures=2, input_subculture_folder="./other")
    parameters = migrated.recipe["parameters"]
    assert parameters["subcultures"] == [
        # 17 voxels across per voxel along z: 170 voxels wide, 10 voxels high
        {"kind": "subculture", "count": 2, "diameter_um": 21.25, "flattening": 0.4235294}
    ]
    assert [kind["share"] for kind in parameters["kinds"]] == [1.0, 0.0]
    assert parameters["kinds"][1]["phantoms"] == "./other"


def test_nothing_is_left_out_in_silence(translated):
    migrated = translated(FIRST, num_of_image=4)
    assert "num_of_image: not a published key" in migrated.untranslated
    for key in ("output_path", "use_gpu_conv"):
        assert any(line.startswith(key) for line in migrated.untranslated)
    for text in ("dc_baseline: had shot noise", "0.25 µm across", "mirror image"):
        assert any(text in line for line in migrated.notes)


@pytest.mark.parametrize("key", EXPECTED["first version"])
def test_each_missing_key_is_named_and_leaves_a_recipe(translated, key):
    migrated = translated({name: value for name, value in FIRST.items() if name != key})
    assert any(line.startswith(f"{key}: not in the file") for line in migrated.notes)
    Parameters.model_validate(migrated.recipe["parameters"])


def test_cells_are_grown_instead_of_given(translated):
    values = SECOND | {"volume_ratio_phantom": 0.5, "px_size_mask_img": [0.75, 0.25, 0.25]}
    migrated = translated(values)
    assert migrated.recipe["parameters"]["cells"] == {"enabled": True}
    assert migrated.recipe["parameters"]["tissue"]["masks_um"] == [0.75, 0.25, 0.25]
    assert any(line.startswith("volume_ratio_phantom: 0.5") for line in migrated.untranslated)


def test_an_empty_shape_is_that_of_the_mask(translated, tmp_path):
    mask = Volume(np.ones((5, 6, 7), np.uint8), (1.5, 0.5, 0.5))
    lost = translated(FIRST, generated_image_shape=[])
    assert "shape" not in lost.recipe["parameters"]["image"]
    assert any("mask_0.tif was not found" in line for line in lost.untranslated)
    write(tmp_path / "masks/mask_0.tif", mask)
    assert translated(FIRST, generated_image_shape=[]).recipe["parameters"]["image"]["shape"] == [
        5,
        6,
        7,
    ]
    path = tmp_path / "params.json"
    write_json(path, FIRST | {"generated_image_shape": []})
    again = migrate(path, tmp_path / "a/new/folder")
    assert again.recipe["parameters"]["image"]["shape"] == [5, 6, 7]


def test_no_shot_noise_is_many_photons(translated):
    camera = translated(FIRST, noise_poisson_factor=0).recipe["parameters"]["camera"]
    assert camera["gain"] * camera["read_noise"] == pytest.approx(4)  # grey values, as before
    assert camera["photons"] * camera["gain"] == pytest.approx(240)
    assert np.sqrt(camera["photons"]) * camera["gain"] < 0.2


@pytest.mark.parametrize(
    "text, changes",
    {
        "noise_gauss: input should be a valid number": {"noise_gauss": "much"},
        "px_size_desired": {"px_size_desired": [1.5, 0.5]},
        "brightness_red_fuction: input should be 'fOld'": {"brightness_red_fuction": "f9"},
        "num_of_images: input should be greater than or equal to 1": {"num_of_images": 0},
        "max_overlap": {"max_overlap": 3},
        "needs one probability for each of the 2": {
            "input_phantom_folders": ["a", "b"],
            "input_phantom_folders_prop": [1.0],
        },
    }.items(),
)
def test_mistakes_are_one_line(translated, changes, text):
    refused(f"params.json.*{text}", translated, FIRST, **changes)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"colour": 1}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "params.json"
    path.write_text(text)
    refused(r"params\.json: expected", migrate, path)
