import numpy as np
import pytest

from cytosuite.datasets.calibration.measure import (
    OBJECT_STATISTICS,
    SAMPLE,
    VOLUME_STATISTICS,
    measure,
)
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


def boxes(signal=(50.0, 50.0, 50.0, 50.0, 50.0, 50.0), background=10.0):
    """Six boxes of 4 x 4 x 4 voxels at different heights, on even ground."""
    image = np.full((40, 40, 60), background)
    labels = np.zeros(image.shape, np.uint16)
    for number, light in enumerate(signal):
        place = (
            slice(4 + 6 * number, 8 + 6 * number),
            slice(18, 22),
            slice(5 + 9 * number, 9 + 9 * number),
        )
        image[place] += light
        labels[place] = number + 1
    return Volume(image, SPACING), labels


def measured(*args, **settings):
    image, labels = boxes(*args, **settings)
    return measure([(image, labels)])


def test_hand_computed_sizes_and_light():
    found = measured()
    row = {name: values[0] for name, values in found.volumes.items()}
    assert row["objects"] == 6
    assert row["background"] == 10
    assert row["far"] == 10
    assert row["signal"] == 50
    assert row["volume_um3"] == 4 * 4 * 4 * 2
    assert row["elongation"] == 2  # 8 µm high, 4 µm wide
    assert row["flatness"] == pytest.approx(1)
    assert row["contrast"] == 0
    assert row["size_spread"] == pytest.approx(0)
    assert row["halo"] == pytest.approx(0)
    assert row["glow"] == pytest.approx(0)
    assert row["neighbour_um"] == pytest.approx(np.hypot(12, 9))
    assert row["tissue_width_um"] == (4 + 49) / 2
    assert row["tissue_height_um"] == 34 * 2
    assert found.objects["height_um"].tolist() == [8.0] * 6
    assert found.annotated == 1


def test_all_statistics_are_there_for_every_stack():
    image, labels = boxes()
    found = measure([(image, labels)] * 2)
    assert set(found.volumes) == set(VOLUME_STATISTICS)
    assert all(values.shape == (2,) for values in found.volumes.values())
    assert set(found.objects) == set(OBJECT_STATISTICS)
    assert all(values.shape == (12,) for values in found.objects.values())


def test_dimming_and_spread_are_told_apart():
    depth = 2 * np.arange(6) * 6  # µm
    found = measured(100 * np.exp(-0.02 * depth))
    assert found.median("dimming") == pytest.approx(0.02)
    assert found.median("brightness_spread") == pytest.approx(0, abs=1e-9)
    uneven = measured(100 * np.exp(-0.02 * depth + 0.3 * np.array([1, -1, -1, 1, 0, 0])))
    assert uneven.median("brightness_spread") > 0.2


def test_light_around_objects():
    image, labels = boxes()
    near = measure([(image, labels)]).volumes["halo"][0]
    image.array[:] += 5 * (np.abs(np.arange(40) - 19.5) < 8)[None, :, None]
    lit = measure([(image, labels)])
    assert lit.volumes["halo"][0] > near + 0.02


def test_cut_objects_count_but_have_no_shape():
    image, labels = boxes()
    labels[:, 18:22, 55:59][:4] = 9  # at the first plane
    found = measure([(image, labels)])
    assert found.median("objects") == 7
    assert np.isfinite(found.objects["volume_um3"]).sum() == 6


def test_texture_is_structure_and_not_noise():
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[4:16, 8:32, 8:32] = 1
    rng = np.random.default_rng(0)
    stripes = 20 * np.sign(np.sin(np.arange(40) * np.pi / 2 + 0.1))
    even = 100.0 * labels + rng.normal(0, 15, labels.shape)
    striped = even + stripes * labels
    found = [
        measure([(Volume(10 + image, (1, 1, 1)), labels)]).median("texture")
        for image in (even, striped)
    ]
    assert found[0] < 0.05  # the noise alone is 0.15
    assert found[1] == pytest.approx(0.2, abs=0.03)


def test_crowded_stacks_have_no_far_level():
    labels = np.zeros((12, 24, 24), np.uint8)
    labels[2:10, 3:21, 3:21] = 1
    found = measure([(Volume(50.0 + 100 * labels, (1, 1, 1)), labels)])
    assert np.isnan(found.median("far"))
    assert found.median("background") == 50


def test_noise_and_signal_to_noise():
    image, labels = boxes()
    rng = np.random.default_rng(0)
    noisy = Volume(image.array + rng.normal(0, 2, image.shape), SPACING)
    found = measure([(noisy, labels)])
    assert found.median("noise") == pytest.approx(2, rel=0.02)
    assert found.median("snr") == pytest.approx(25, rel=0.03)


def test_without_labels_objects_are_found_and_flagged():
    image, labels = boxes()
    found = measure([(image, labels), (image, None)])
    assert found.annotated == 1
    assert found.volumes["objects"].tolist() == [6, 6]
    assert any("1 of 2 stacks: objects by threshold only" in note for note in found.notes)
    assert measure([(image, None)]).annotated == 0


def test_empty_stacks_give_no_numbers():
    image, labels = boxes()
    found = measure([(image, 0 * labels)])
    assert found.median("objects") == 0
    assert np.isnan(found.median("signal"))
    assert np.isnan(found.median("halo"))


def test_grey_values_are_sampled_evenly():
    found = measured()
    assert len(found.outside) <= SAMPLE
    assert set(found.outside) == {10.0}
    assert set(found.inside) == {60.0}


def test_measuring_does_not_change_the_images():
    image, labels = boxes()
    before = image.array.copy(), labels.copy()
    measure([(image, labels)])
    assert (image.array == before[0]).all()
    assert (labels == before[1]).all()


def test_mistakes_are_named():
    image, labels = boxes()
    with pytest.raises(InputError, match="at least one stack"):
        measure([])
    with pytest.raises(InputError, match="shape of their image"):
        measure([(image, labels[1:])])
    with pytest.raises(InputError, match="ZYX stack"):
        measure([(Volume(image.array[0], (1, 1), "YX"), None)])
