import numpy as np
import pytest
import torch
from mistakes import refused
from monai.networks.schedulers import NoiseSchedules
from numpy.testing import assert_allclose
from rasters import same
from sketches import PLACED, SPACING, TINY, TWO, labels_of, random_network

from cytosuite.contract.manifest import parse
from cytosuite.denoising.noise import (
    BLOCK,
    NoiseSchedule,
    noise_field,
    object_noise,
    phase,
)
from cytosuite.denoising.sampling import HIDDEN, Contrast, Process, blurred, synthesise
from cytosuite.networks.normalise import sketch_of_labels
from cytosuite.segmentation.specimen import DEPTH_UM

WIDE = (128, 512, 512)
MEAN = 0.5
SD = 0.4
SHAPE = (5, 150, 130)


def _process(**options):
    return Process.model_validate({"steps": 4, **options})


def _sketch(shape=(10, 24, 20)):
    return sketch_of_labels(labels_of(0, shape))


def _asked(channels=1):
    """Return a network that answers 0, and a list that grows by what it is given and when."""
    seen = []

    def network(inputs, time):
        seen.append((inputs.numpy()[0].copy(), time.item()))
        return torch.zeros_like(inputs[:, :channels])

    return network, seen


@pytest.mark.parametrize("arguments, guidance", [(TWO, 2), (PLACED, 1)])
def test_any_size_of_tile_gives_the_same_image(arguments, guidance):
    network = random_network(arguments)
    sketch = _sketch((4, 72, 64))
    if arguments.channels > 1:
        sketch = np.stack([sketch, sketch[:, ::-1]])
    process = _process(solver="ddim", eta=0.5, steps=3, t_start=700, guidance=guidance)
    whole = synthesise(sketch, network, arguments, process, tile=WIDE, seed=3)
    tiled = synthesise(sketch, network, arguments, process, tile=(4, 60, 60), seed=3)
    assert (whole.tiles, whole.evaluations) == (1, 3 * guidance)  # 1 or 2 passes
    assert tiled.tiles == 4
    assert tiled.evaluations == 3 * guidance * tiled.tiles
    assert np.ptp(whole.values) > 1
    assert_allclose(tiled.values, whole.values, atol=2e-4)


@pytest.mark.parametrize("predicts, solver", [("velocity", "dpm"), ("noise", "ddim")])
def test_images_have_the_distribution_of_the_denoiser(predicts, solver):
    def network(inputs, time):
        """Return the answer for images of normal independent voxels, in closed form."""
        noised, a, s = inputs[:, :1], time.cos(), time.sin()
        clean = MEAN + a * SD**2 / (a**2 * SD**2 + s**2) * (noised - a * MEAN)
        noise = (noised - a * clean) / s
        return noise if predicts == "noise" else a * noise - s * clean

    arguments = TINY.model_copy(update={"predicts": predicts})
    process = _process(solver=solver, eta=1, t_start=1000, steps=100)
    images = synthesise(
        np.zeros((4, 32, 64), np.float32), network, arguments, process, tile=WIDE
    ).values
    assert images.mean() == pytest.approx(MEAN, abs=0.02)
    assert images.std() == pytest.approx(SD, rel=0.1 if solver == "ddim" else 0.05)


def test_guidance_leads_away_from_the_answer_without_a_sketch_by_hand():
    # One step: 0.5 of the sketch is expected with it, 0.2 without it, so that a guidance of 3
    # makes 0.2 + 3 (0.5 - 0.2) = 1.1 of an object and 0.2 + 3 (0 - 0.2) = -0.4 of the ground.
    sketch = _sketch((4, 8, 8))
    seen = []

    def network(inputs, time):
        noised, a, s = inputs[:, :1], time.cos(), time.sin()
        seen.append(inputs[:, 1:].numpy().copy())
        clean = 0.2 if (inputs[:, 1:] == HIDDEN).all() else 0.5 * inputs[:, 1:]
        return (a * noised - clean) / s

    for guidance, ends in ((1, (0.0, 0.5)), (2, (-0.2, 0.8)), (3, (-0.4, 1.1))):
        process = _process(steps=1, guidance=guidance)
        image = synthesise(sketch, network, TINY, process, tile=WIDE).values
        assert_allclose(image, np.where(sketch > 0, ends[1], ends[0]), atol=1e-4)
    assert 0 < sketch.mean() < 1
    # One pass without guidance, in which nothing is hidden; two with it, of which one is.
    assert [bool((shown == HIDDEN).all()) for shown in seen] == [False, *[False, True] * 2]
    for shown in (seen[0], seen[1], seen[3]):
        same(shown[0, 0], sketch)


def test_a_network_of_positions_is_given_distance_and_depth_of_the_whole():
    network, seen = _asked()
    sketch = np.zeros((12, 40, 40), np.float32)
    sketch[4:, 8:32, 8:32] = 1
    synthesise(sketch, network, PLACED, _process(steps=1), tile=WIDE, spacing=SPACING)
    (((_, channel, distance, depth), _),) = seen
    same(channel, sketch)
    assert (distance[8:, 16:24, 16:24] > 0.1).all()
    assert (distance[:, 0] < 0).all()
    um = np.arctanh(depth[:, 20, 20]) * DEPTH_UM
    assert_allclose(np.diff(um)[5:], SPACING[0], rtol=0.05)
    assert abs(um[4]) < 3 * SPACING[0]


def test_a_network_is_given_noised_image_sketch_and_phase():
    network, seen = _asked()
    sketch = _sketch((4, 8, 8))
    process = _process(steps=1, t_start=400, blur=0, contrast={"dark": 0.25, "bright": 2.0})
    image = synthesise(sketch, network, TINY, process, tile=WIDE, seed=9)
    ((channels, time),) = seen
    a = np.cos(time)
    s = np.sin(time)
    assert a**2 == pytest.approx(process.schedule.signal()[399], rel=1e-2)
    expected = a * (0.25 + 1.75 * sketch) + s * noise_field(sketch.shape, 9, 0)
    assert_allclose(channels[0], expected, atol=1e-5)
    same(channels[1], sketch)
    # Velocity 0 says that the image is what is left of the noised one.
    assert_allclose(image.values, np.clip(a * expected, -1.5, 4), atol=1e-5)


def test_channels_have_their_own_sketch_contrast_and_noise():
    network, seen = _asked(2)
    sketch = np.stack([_sketch((4, 8, 8)), np.zeros((4, 8, 8), np.float32)])
    levels = [{"dark": 0.25, "bright": 2.0}, {"dark": 1.0, "bright": 3.0}]
    process = _process(steps=1, t_start=400, blur=0, contrast=levels)
    assert synthesise(sketch, network, TWO, process, tile=WIDE, seed=9).values.shape == sketch.shape
    (((first, second, *sketches, extra), _),) = seen
    same(sketches, sketch)
    a = process.left**0.5
    fields = [part - a * image for part, image in ((first, 0.25 + 1.75 * sketch[0]), (second, 1))]
    assert_allclose(fields[0], (1 - a**2) ** 0.5 * noise_field((4, 8, 8), 9, 0), atol=1e-5)
    assert abs(np.corrcoef([field.ravel() for field in [*fields, extra]])[0, 1:]).max() < 0.2
    assert extra.min() > 0
    assert extra.mean() == pytest.approx((np.pi / 2) ** 0.5, rel=0.1)  # Rayleigh's, of scale 1


def test_a_blurred_sketch_has_the_contrast_of_images():
    sketch = np.zeros((9, 9, 9), np.float32)
    sketch[3:6, 3:6, 3:6] = 1
    process = _process(blur=0, contrast=Contrast(dark=0.5, bright=2).model_dump())
    same(blurred(sketch, process), np.where(sketch > 0, 2, 0.5))
    soft = blurred(sketch, _process(blur=1, contrast={"dark": 0, "bright": 1}))
    assert soft.sum() == pytest.approx(27, rel=1e-3)
    assert soft.max() < 0.9
    same(blurred(sketch[:1] + 1, process), np.full((1, 9, 9), 2))


@pytest.mark.parametrize(
    "message, options",
    {
        "expected t_start or signal, found both": {"t_start": 400, "signal": 0.5},
        "t_start must be at most schedule.length, 1000, found 1001": {"t_start": 1001},
        "steps must be at most 10, .* found 11": {"t_start": 10, "steps": 11},
        r"range must rise, found \[1.0, 1.0\]": {"range": [1, 1]},
    }.items(),
)
def test_explains_an_impossible_process(options, message):
    refused(f"process: .*{message}", parse, "process", options, Process)


def test_expected_images_are_kept_in_their_range():
    process = _process(range=[-0.1, 0.2], steps=3)
    image = synthesise(_sketch(), random_network(), TINY, process, tile=WIDE).values
    assert image.min() >= np.float32(-0.1)
    assert image.max() <= np.float32(0.2)


@pytest.mark.parametrize(
    "origin, shape",
    [
        ((2, 10, 60), (1, 100, 20)),
        ((4, 64, 128), (1, 64, 2)),
    ],
)
def test_a_part_has_the_noise_of_the_whole(origin, shape):
    whole = noise_field(SHAPE, 7, 2)
    box = tuple(slice(low, low + size) for low, size in zip(origin, shape, strict=True))
    same(noise_field(shape, 7, 2, origin), whole[box])


def test_the_noise_stays_the_same_over_versions():
    # A stored result is made again from its seed: these numbers must never change.
    stream = np.random.Philox(counter=[0, 1, 2, 3], key=[5, 6])
    expected = np.random.Generator(stream).standard_normal(BLOCK, np.float32)
    same(noise_field((1, 64, 64), 5, 6, (1, 128, 192)), expected[:])
    assert_allclose(
        noise_field((1, 1, 4), 0, 0)[0, 0], [0.059911, 0.0155596, -1.1644385, -0.1326471], atol=1e-6
    )


def test_the_noise_of_an_object_moves_with_it_and_that_of_the_ground_stays():
    first, second = np.zeros((2, *SHAPE), np.uint16)
    first[1:4, 20:60, 10:70] = 3
    second[2:5, 33:73, 1:61] = 3
    second[0, :10, :10] = 1
    noises = [object_noise(SHAPE, 7, 2, labels) for labels in (first, second)]
    same(noises[0][first == 3], noises[1][second == 3])
    ground = (first == 0) & (second == 0)
    same(noises[0][ground], noises[1][ground])
    plain = noise_field(SHAPE, 7, 2)
    assert abs(np.corrcoef(plain[first == 3], noises[0][first == 3])[0, 1]) < 0.05
    assert (noises[0].mean(), noises[0].std()) == pytest.approx((0, 1), abs=0.02)


def test_known_values():
    # The reference sheet has these for the cosine; MONAI has the other schedules.
    schedule = NoiseSchedule()
    assert schedule.betas()[999] == pytest.approx(0.9999, rel=5e-3)
    assert schedule.signal()[[399, 999]] == pytest.approx([0.647, 2.4e-10], rel=2e-2)


@pytest.mark.parametrize(
    "kind, peer",
    {"linear": "linear_beta", "quadratic": "scaled_linear_beta", "sigmoid": "sigmoid_beta"}.items(),
)
def test_variances_are_those_of_monai(kind, peer):
    assert_allclose(NoiseSchedule(kind=kind).betas(), NoiseSchedules[peer](1000), rtol=2e-4)


def test_the_cosine_is_that_of_monai_within_the_limits():
    expected, *_ = NoiseSchedules["cosine"](1000)
    betas = NoiseSchedule().betas()
    inside = (betas > 2e-4) & (betas < 0.999)
    assert inside.sum() > 900
    assert_allclose(betas[inside], expected[torch.from_numpy(inside)], rtol=2e-3)


def test_the_steps_to_a_signal_of_the_schedule_are_found():
    schedule = NoiseSchedule(length=100)
    for steps in (1, 37, 100):
        assert schedule.steps_to(schedule.signal()[steps - 1]) == steps
    assert schedule.steps_to(1.0) == 1
    assert schedule.steps_to(0.0) == 100


@pytest.mark.parametrize("count", [1, 7, 400])
def test_visited_levels_go_from_the_start_to_the_image(count):
    schedule = NoiseSchedule()
    start = 400
    levels = schedule.visited(start, count)
    assert levels.shape == (count + 1,)
    assert levels[0] == schedule.signal()[start - 1]
    assert levels[-1] == 1
    assert (np.diff(levels) > 0).all()
    if count > 1:
        assert levels[-2] == schedule.signal()[0]


def test_the_phase_is_the_angle_of_image_and_noise():
    assert (phase(1.0), phase(0.5)) == pytest.approx((0, np.pi / 4))
    signal = NoiseSchedule().signal()
    assert_allclose(np.cos(phase(signal)), np.sqrt(signal), atol=1e-12)
    assert_allclose(np.sin(phase(signal)), np.sqrt(1 - signal), atol=1e-12)
