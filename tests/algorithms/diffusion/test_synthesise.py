import numpy as np
import pytest
import torch
from sketches import FLAT, TINY, labels_of, random_network

from cytosuite.algorithms.diffusion.intensity import HIDDEN, Contrast, sketch_of_labels
from cytosuite.algorithms.diffusion.network import DenoiserArguments
from cytosuite.algorithms.diffusion.noise import noise_field
from cytosuite.algorithms.diffusion.synthesise import Process, blurred, synthesise
from cytosuite.errors import InputError
from cytosuite.manifest import parse
from cytosuite.tiling import smallest_tile

WIDE = (128, 512, 512)
MEAN, SD = 0.5, 0.4


def _process(**given):
    return Process.model_validate({"steps": 4, **given})


def _sketch(shape=(10, 24, 20)):
    return sketch_of_labels(labels_of(0, shape))


def _exact(predicts, hidden=MEAN):
    """Return the denoiser of images of normal independent voxels, in closed form.

    Their mean is another one where the sketch is hidden.
    """

    def network(given, time):
        noised, a, s = given[:, :1], time.cos(), time.sin()
        mean = torch.where(given[:, 1:] == HIDDEN, hidden, MEAN)
        clean = mean + a * SD**2 / (a**2 * SD**2 + s**2) * (noised - a * mean)
        noise = (noised - a * clean) / s
        return noise if predicts == "noise" else a * noise - s * clean

    return network


@pytest.mark.parametrize("solver", ["dpm", "ddim", "ddpm"])
@pytest.mark.parametrize(
    ("arguments", "guidance"),
    [(TINY, 1), (TINY, 2), (TINY.model_copy(update={"conditioned": False}), 1)],
)
def test_any_size_of_tile_gives_the_same_image(solver, arguments, guidance):
    network, sketch = random_network(arguments), _sketch((4, 140, 140))
    process = _process(solver=solver, eta=0.5, steps=3, t_start=700, guidance=guidance)
    whole = synthesise(sketch, network, arguments, process, tile=WIDE, seed=3)
    least = smallest_tile(arguments.halo, arguments.multiple)
    tiled = synthesise(sketch, network, arguments, process, tile=least, seed=3)
    assert (whole.tiles, whole.evaluations) == (1, 3 * guidance)  # 1 or 2 passes
    assert tiled.tiles > 1
    assert tiled.evaluations == 3 * guidance * tiled.tiles
    assert np.ptp(whole.values) > 1
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-4)


def test_any_size_of_tile_gives_the_same_plane():
    network, sketch = random_network(FLAT), _sketch((1, 160, 150))
    whole = synthesise(sketch, network, FLAT, _process(), tile=WIDE)
    tiled = synthesise(sketch, network, FLAT, _process(), tile=(1, 72, 72))
    assert tiled.tiles > whole.tiles == 1
    assert whole.values.shape == sketch.shape
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-4)


@pytest.mark.parametrize("predicts", ["velocity", "noise"])
@pytest.mark.parametrize("solver", ["dpm", "ddim", "ddpm"])
def test_images_have_the_distribution_of_the_denoiser(predicts, solver):
    arguments = TINY.model_copy(update={"predicts": predicts})
    process = _process(solver=solver, eta=1, t_start=1000, steps=100)
    sketch = np.zeros((4, 32, 64), np.float32)
    made = synthesise(sketch, _exact(predicts), arguments, process, tile=WIDE).values
    assert made.mean() == pytest.approx(MEAN, abs=0.02)
    assert made.std() == pytest.approx(SD, rel=0.1 if solver == "ddim" else 0.05)


def test_little_noise_keeps_the_sketch_and_much_does_not():
    sketch, kept = _sketch((8, 48, 48)), []
    for signal in (0.99, 0.5, 0.01):
        process = _process(signal=signal, blur=0)
        made = synthesise(sketch, _exact("velocity"), TINY, process, tile=WIDE).values
        kept.append(np.corrcoef(made.ravel(), sketch.ravel())[0, 1])
    assert kept[0] > 0.9 > kept[1] > kept[2]
    assert kept[2] < 0.3


def test_guidance_leads_away_from_the_answer_without_a_sketch_by_hand():
    """One step: 0.5 of the sketch is expected with it, 0.2 without it, so that a guidance of 3
    makes 0.2 + 3 (0.5 - 0.2) = 1.1 of an object and 0.2 + 3 (0 - 0.2) = -0.4 of the ground.
    """
    sketch, seen = _sketch((4, 8, 8)), []

    def network(given, time):
        noised, a, s = given[:, :1], time.cos(), time.sin()
        seen.append(given[:, 1:].numpy().copy())
        clean = 0.2 if (given[:, 1:] == HIDDEN).all() else 0.5 * given[:, 1:]
        return (a * noised - clean) / s

    for guidance, ends in ((1, (0.0, 0.5)), (2, (-0.2, 0.8)), (3, (-0.4, 1.1))):
        process = _process(steps=1, guidance=guidance)
        made = synthesise(sketch, network, TINY, process, tile=WIDE).values
        np.testing.assert_allclose(made, np.where(sketch > 0, ends[1], ends[0]), atol=1e-4)
    assert 0 < sketch.mean() < 1
    # One pass without guidance, in which nothing is hidden; two with it, of which one is.
    assert [bool((each == HIDDEN).all()) for each in seen] == [False, *[False, True] * 2]
    for each in (seen[0], seen[1], seen[3]):
        np.testing.assert_array_equal(each[0, 0], sketch)


def test_guided_images_have_the_mean_that_guidance_leads_to():
    """Both expectations are lines of equal slope: means of 0.5 and 0.2 lead to 0.2 + 2 * 0.3."""
    process = _process(t_start=1000, steps=100, guidance=2)
    sketch = np.zeros((4, 32, 64), np.float32)
    made = synthesise(sketch, _exact("velocity", 0.2), TINY, process, tile=WIDE).values
    assert made.mean() == pytest.approx(0.8, abs=0.02)
    assert made.std() == pytest.approx(SD, rel=0.05)


@pytest.mark.parametrize("t_start", [400, 1000])
def test_a_network_is_given_noised_image_sketch_and_phase(t_start):
    seen = []

    def network(given, time):
        seen.append((given.numpy().copy(), time.item()))
        return torch.zeros_like(given[:, :1])

    sketch = _sketch((4, 8, 8))
    process = _process(steps=1, t_start=t_start, blur=0, contrast={"dark": 0.25, "bright": 2.0})
    made = synthesise(sketch, network, TINY, process, tile=WIDE, seed=9)
    ((given, time),) = seen
    a, s = np.cos(time), np.sin(time)
    assert a**2 == pytest.approx(process.schedule.signal()[t_start - 1], rel=1e-2)
    if t_start == 1000:  # noise alone: what is left of the sketch is below its rounding
        np.testing.assert_allclose(given[0, 0], noise_field(sketch.shape, 9, 0), atol=1e-4)
    expected = a * (0.25 + 1.75 * sketch) + s * noise_field(sketch.shape, 9, 0)
    np.testing.assert_allclose(given[0, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(given[0, 1], sketch)
    # Velocity 0 says that the image is what is left of the noised one.
    np.testing.assert_allclose(made.values, np.clip(a * expected, -1.5, 4), atol=1e-5)


def test_expected_images_are_kept_in_their_range():
    process = _process(range=[-0.1, 0.2], steps=3)
    made = synthesise(_sketch(), random_network(), TINY, process, tile=WIDE).values
    assert made.min() >= np.float32(-0.1)
    assert made.max() <= np.float32(0.2)


def test_noise_belongs_to_the_place_and_the_seed():
    network, process = random_network(), _process(solver="ddpm")
    small, large = np.zeros((4, 96, 16), np.float32), np.zeros((4, 104, 24), np.float32)
    first = synthesise(small, network, TINY, process, tile=WIDE, seed=1).values
    again = synthesise(small, network, TINY, process, tile=WIDE, seed=1).values
    other = synthesise(small, network, TINY, process, tile=WIDE, seed=2).values
    wider = synthesise(large, network, TINY, process, tile=WIDE, seed=1).values
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert wider.shape == large.shape


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 4, 9)])
def test_small_and_odd_images_are_made(shape):
    made = synthesise(np.ones(shape, np.float32), random_network(), TINY, _process(), tile=WIDE)
    assert made.values.shape == shape
    assert np.isfinite(made.values).all()


def test_a_blurred_sketch_has_the_contrast_of_images():
    sketch = np.zeros((9, 9, 9), np.float32)
    sketch[3:6, 3:6, 3:6] = 1
    process = _process(blur=0, contrast=Contrast(dark=0.5, bright=2).model_dump())
    np.testing.assert_array_equal(blurred(sketch, process), np.where(sketch > 0, 2, 0.5))
    soft = blurred(sketch, _process(blur=1, contrast={"dark": 0, "bright": 1}))
    assert soft.sum() == pytest.approx(27, rel=1e-3)
    assert soft.max() < 0.9
    np.testing.assert_array_equal(blurred(sketch[:1] + 1, process), np.full((1, 9, 9), 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"t_start": 400, "signal": 0.5}, "expected t_start or signal, found both"),
        ({"t_start": 1001}, "t_start must be at most schedule.length, 1000, found 1001"),
        ({"t_start": 10, "steps": 11}, "steps must be at most 10, .* found 11"),
        ({"range": [1, 1]}, r"range must rise, found \[1.0, 1.0\]"),
        ({"signal": 1}, "signal"),
        ({"solver": "euler"}, "solver"),
        ({"guidance": 0.9}, "guidance"),
    ],
)
def test_explains_an_impossible_process(given, message):
    with pytest.raises(InputError, match=f"process: .*{message}"):
        parse("process", given, Process)


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ({}, 400),
        ({"t_start": 7, "steps": 5}, 7),
        ({"signal": 0.195, "schedule": {"kind": "linear"}}, 400),
    ],
)
def test_the_start_is_a_step_or_a_signal(given, start):
    assert Process.model_validate(given).start == start


def test_a_network_without_blocks_has_the_least_halo():
    assert smallest_tile(DenoiserArguments(widths=(4,), blocks=0, fold=1).halo, (1, 1, 1)) == (
        5,
        5,
        5,
    )
