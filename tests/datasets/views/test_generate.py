import numpy as np
import pytest

from cytosuite.datasets.views.generate import finer, generate
from cytosuite.datasets.views.parameters import Parameters
from cytosuite.datasets.views.studies import STUDIES
from cytosuite.errors import InputError
from cytosuite.metrics.images.n_ssim import n_ssim
from cytosuite.tasks import TASKS, VIEW

SECOND, FUSED = f"second-{VIEW}", f"fused-{VIEW}"


def test_all_volumes_are_of_one_scene(sample):
    assert sorted(sample.sockets) == sorted([VIEW, SECOND, FUSED])
    for volume in sample.sockets.values():
        assert volume.array.dtype == np.uint16
        assert volume.shape == STUDIES[1].grid(0.1).shape
        assert volume.spacing == STUDIES[1].spacing_um
        assert volume.metadata == {"channel": "nucleus", "study": 1, "unit": "um"}


def test_sockets_are_those_of_the_task(sample):
    task = TASKS["fuse"]
    slugs = {socket.slug for socket in (*task.inputs, *task.outputs) if socket.kind == "image"}
    assert slugs == set(sample.sockets)


def test_drawn_values_are_flat_scalars(sample):
    for value in (*sample.metadata.values(), *sample.conditions.values()):
        assert isinstance(value, str | int | float)
    assert 0 < sample.conditions["light left [%]"] < 100


def test_the_fused_volume_restores_the_far_side(sample):
    view, other, truth = (sample.volume(slug).array for slug in (VIEW, SECOND, FUSED))
    assert not np.array_equal(view, other)
    far = -1 if sample.metadata["light_from_z"] == "near" else 0
    # The far plane is nearly that of the second view, the near one that of the first.
    gap = [np.abs(truth[far].astype(float) - image[far]).mean() for image in (view, other)]
    assert gap[1] < gap[0] / 2
    assert n_ssim(truth, truth, view) == 1


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before():
    stream = np.random.SeedSequence(7).spawn(8)[6]
    made = [generate(np.random.default_rng(stream), {"scale": 0.05}) for _ in range(2)]
    # A sequence counts its children: as the runner does, a fresh one is taken each time.
    fresh = np.random.SeedSequence(stream.entropy, spawn_key=stream.spawn_key)
    again = generate(np.random.default_rng(fresh), {"scale": 0.05})
    assert (made[0].volume(VIEW).array == again.volume(VIEW).array).all()
    assert made[0].metadata["study"] == again.metadata["study"] == 2
    assert again.metadata["content"] == "membrane"


def test_a_generator_without_a_key_makes_the_first_stratum():
    made = generate(np.random.default_rng(1), {"scale": 0.05})
    assert (made.metadata["study"], made.metadata["content"]) == (1, "nucleus")


@pytest.mark.parametrize("number", STUDIES)
def test_the_simulation_is_finer_than_coarse_voxels(number):
    detector = STUDIES[number].grid(0.1)
    grid = finer(detector, Parameters())
    assert grid.spacing[0] <= 1.0
    assert all(step <= 0.4 for step in grid.spacing[1:])
    assert all(wide > size for wide, size in zip(grid.size_um, detector.size_um, strict=True))


def test_more_photons_make_views_more_alike():
    def lost(photons):
        stream = np.random.SeedSequence(2).spawn(6)[5]
        made = generate(
            np.random.default_rng(stream),
            {"scale": 0.05, "photons": photons, "growth": 0, "haze": 0, "shadows": 0},
        )
        arrays = [made.volume(slug).array.astype(float) for slug in (VIEW, FUSED)]
        return np.corrcoef(*(array.ravel() for array in arrays))[0, 1]

    assert lost(500.0) > lost(8.0)


def test_unknown_parameters_are_refused():
    with pytest.raises(InputError, match=r"views parameters: angle is not a known key"):
        generate(np.random.default_rng(0), {"angle": 90})
