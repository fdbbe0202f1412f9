import numpy as np
import pytest

from cytosuite.contract.tasks import VIEW
from cytosuite.datasets.views.generate import finer, fused, generate
from cytosuite.datasets.views.parameters import STUDIES, Parameters

SECOND = f"second-{VIEW}"
FUSED = f"fused-{VIEW}"


def test_images_have_the_shape_and_the_words_of_their_study(sample):
    assert sorted(sample.sockets) == sorted([VIEW, SECOND, FUSED])
    for volume in sample.sockets.values():
        assert (volume.shape, volume.spacing) == (STUDIES[1].grid(0.1).shape, STUDIES[1].spacing_um)
        assert volume.metadata.items() >= {"channel": "nucleus", "study": 1, "unit": "um"}.items()
    assert 0 < sample.conditions["light left [%]"] < 100


def test_the_fused_volume_restores_the_far_side(sample):
    view, other, truth = (sample.volume(slug).array for slug in (VIEW, SECOND, FUSED))
    assert not np.array_equal(view, other)
    far = -1 if sample.metadata["light_from_z"] == "near" else 0
    # The far plane is nearly that of the second view, the near one that of the first.
    gap = [np.abs(truth[far].astype(float) - image[far]).mean() for image in (view, other)]
    assert gap[1] < gap[0] / 2


def test_a_case_has_the_study_and_the_content_of_its_number():
    stream = np.random.SeedSequence(7).spawn(8)[6]
    facts = generate(np.random.default_rng(stream), {"scale": 0.05}).metadata
    assert (facts["study"], facts["content"]) == (2, "membrane")


@pytest.mark.parametrize("number", STUDIES)
def test_the_simulation_is_finer_than_coarse_voxels(number):
    detector = STUDIES[number].grid(0.1)
    grid = finer(detector, Parameters())
    assert grid.spacing[0] <= 1.0
    assert all(step <= 0.4 for step in grid.spacing[1:])
    assert all(wide > size for wide, size in zip(grid.size_um, detector.size_um, strict=True))


@pytest.mark.parametrize(
    "views, light, preference, value",
    [
        ((100, 100), (0.9, 0.1), 1.0, 100),
        ((100, 200), (0.75, 0.25), 1.0, 125),
        ((100, 200), (0.75, 0.25), 2.0, 110),
        ((100, 200), (0, 0), 1.0, 150),  # where none is left
        ((65535, 65535), (1, 1), 8.0, 65535),
    ],
)
def test_the_better_view_counts_by_its_light(views, light, preference, value):
    seen = [np.full((2, 3, 4), grey, np.uint16) for grey in views]
    left = [np.full((2, 3, 4), share, np.float32) for share in light]
    assert (fused(seen, left, preference) == value).all()
