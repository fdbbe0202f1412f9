import numpy as np
from mistakes import refused
from rasters import away_from

from cytosuite.datasets.phantoms.build import outline_to
from cytosuite.datasets.recipes import simulated
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


def test_the_outline_of_a_real_tissue_is_a_mask_that_a_recipe_reads(tmp_path, rng):
    # A hollow ball of nuclei, 20 µm wide, and a spot beside it.
    away = away_from((15, 30, 30), (30, 60, 60), SPACING)
    image = rng.poisson(np.where((away < 20) & (away > 10), 60, 5))
    image[2:4, 50:55, 50:55] = 200
    write(tmp_path / "real.tif", Volume(image.astype(np.uint16), SPACING, "ZYX"))
    (written,) = outline_to(tmp_path / "masks", tmp_path / "real.tif")
    mask = read(written)
    assert (mask.spacing, mask.array.dtype) == (SPACING, np.uint8)
    inside = mask.array > 0
    assert inside[away < 18].all()
    assert not inside[away > 28].any()
    recipe = tmp_path / "mine.toml"
    tissue = '[parameters.tissue]\noutline = "file"\nmasks = ["masks/real_mask.tif"]\n'
    recipe.write_text(f'dataset = "spheroid"\ntitle = "Mine"\ncases = 1\n{tissue}')
    assert simulated(str(recipe), None).parameters.tissue.masks == (
        str(tmp_path / "masks/real_mask.tif"),
    )


def test_what_has_no_outline_is_refused_and_nothing_is_written(tmp_path):
    write(tmp_path / "even.tif", Volume(np.ones((4, 8, 8), np.uint8), SPACING, "ZYX"))
    refused(
        r"even\.tif: expected tissue brighter .* one grey value",
        outline_to,
        tmp_path / "masks",
        tmp_path,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["even.tif"]
