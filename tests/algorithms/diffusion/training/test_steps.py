"""One-pass images that judges see, and steps that a teacher takes in several."""

import copy

import numpy as np
import pytest
import torch
from mistakes import refused
from sketches import labels_of, paired_dataset, randomise, real_folder, volume
from training_data import merged, moves
from trainings import short

from cytosuite.algorithms.diffusion.predict import predict
from cytosuite.algorithms.diffusion.training.train import TRAINING
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.formats import write
from cytosuite.training.denoise import FURTHER
from cytosuite.training.loop import begin, complete, take_step, train

ADVERSARY = {"judge": {"widths": [4, 6], "norm": "spectral"}, "judges": 2, "pool": 3}


def _settings(loss="adversarial", **changes):
    """Return settings of a training of few steps."""
    base = {
        "network": {"position": ["distance", "depth"]},
        "process": {"steps": 1, "t_start": 1000},
        "adversary": ADVERSARY,
    }
    return short("diffusion", loss=loss, **merged(base, changes))


def _begun(folder, settings):
    """Return cases, whole settings and a state of random weights in float32."""
    cases = {"images": TRAINING.load(paired_dataset(folder), "images", settings)}
    settings = complete(TRAINING, settings, cases, None, lambda _: None)
    state = begin(TRAINING, settings, None, "cpu")
    state.rounding = np.inf
    torch.manual_seed(0)
    randomise(state.modules["network"])
    return cases, settings, state


def _clean(network, noised, angle, drawn):
    """Return the crops that a network of velocity expects, by the definition of velocity."""
    inputs = torch.cat([noised, *(torch.from_numpy(drawn[name]) for name in FURTHER[:2])], 1)
    velocity = network(inputs, torch.full((len(noised),), angle))
    return np.cos(angle) * noised - np.sin(angle) * velocity


def test_a_taught_step_is_that_of_a_plain_version(tmp_path):
    settings = _settings("distillation", teacher_steps=2)
    cases, settings, state = _begun(tmp_path, settings)
    drawn = TRAINING.batch(cases, settings, 0)
    network = copy.deepcopy(state.modules["network"])
    signals = settings.process.schedule.signal()
    early, late = (float(np.arccos(np.sqrt(signals[place]))) for place in (999, 0))
    noise = torch.from_numpy(drawn["noise"])
    start = np.cos(early) * torch.from_numpy(drawn["image"]) + np.sin(early) * noise
    low, high = settings.card.parameters["process"]["range"]
    with torch.no_grad():
        answer = _clean(network, start, early, drawn)
        first = answer.clamp(low, high)
        implied = (start - np.cos(early) * first) / np.sin(early)
        second = np.cos(late) * first + np.sin(late) * implied
        target = _clean(network, second, late, drawn).clamp(low, high)
    loss = take_step(TRAINING, settings, state, drawn)["loss"]
    assert float(loss) == pytest.approx(float((answer - target).square().mean()), rel=1e-3)
    teacher = state.modules["teacher"].state_dict()
    assert all(torch.equal(teacher[name], value) for name, value in network.state_dict().items())
    assert not torch.equal(state.modules["network"].tail.conv.weight, network.tail.conv.weight)


def test_a_teacher_of_as_many_steps_has_nothing_to_teach(tmp_path):
    settings = _settings(
        "distillation", teacher_steps=3, process={"steps": 3, "t_start": 1000, "solver": "ddim"}
    )
    cases, settings, state = _begun(tmp_path, settings)
    for number in range(3):  # the steps take turns
        drawn = TRAINING.batch(cases, settings, number)
        still = copy.deepcopy(state)
        still.step = number
        still.modules["teacher"].load_state_dict(still.modules["network"].state_dict())
        wide = {"process": {**settings.card.parameters["process"], "range": [-1e9, 1e9]}}
        loss = take_step(TRAINING, settings.with_card(parameters=wide), still, drawn)["loss"]
        assert float(loss) < 1e-6


def test_the_losses_of_judged_crops_are_those_of_a_plain_version(tmp_path):
    cases, settings, state = _begun(tmp_path, _settings())
    drawn = TRAINING.batch(cases, settings, 0)
    adversary = settings.adversary
    before = copy.deepcopy(state.modules)
    losses = take_step(TRAINING, settings, state, drawn)
    drawn_t = {name: torch.from_numpy(value) for name, value in drawn.items()}
    angle = float(np.arccos(np.sqrt(settings.process.left)))
    with torch.no_grad():
        image = _clean(before["network"], drawn_t["noise"], angle, drawn)
        fakes, reals = (
            before["judges"](torch.cat([crops, drawn_t["sketch"], drawn_t["position"]], 1))
            for crops in (image, drawn_t["image"])
        )
        # The second look of spectral norms at their weights is one iteration further.
        fooled = np.mean([float((judged[-1] - 1).square().mean()) for judged in fakes])
        pairs = [
            pair
            for a, b in zip(fakes, reals, strict=True)
            for pair in zip(a[:-1], b[:-1], strict=True)
        ]
        features = np.mean([float((one - two).abs().mean()) for one, two in pairs])
        pool = torch.nn.AvgPool3d((3, 7, 7), 1, (1, 3, 3), count_include_pad=False)
        smooth = [pool(pool(crops)) for crops in (image, drawn_t["image"])]
        read, least = (
            torch.nn.functional.binary_cross_entropy_with_logits(
                before["reader"](crops, torch.zeros(2)), drawn_t["sketch"].clamp(0, 1)
            )
            for crops in (image, drawn_t["image"])
        )
    assert float(losses["fooled"]) == pytest.approx(fooled, rel=0.05)
    assert float(losses["features"]) == pytest.approx(adversary.features * features, rel=0.1)
    difference = (smooth[0] - smooth[1]).abs().mean()
    assert float(losses["likeness"]) == pytest.approx(
        adversary.likeness * float(difference), rel=1e-3
    )
    assert float(losses["structure"]) == pytest.approx(
        max(0, adversary.structure * float(read - least))
    )


def test_each_network_is_moved_by_its_own_loss_alone(tmp_path, monkeypatch):
    cases, settings, state = _begun(tmp_path, _settings(adversary={"penalty": 1.0}))
    moved = moves(monkeypatch, state)
    take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, 0))
    assert moved == {name: {name} for name in ("network", "reader", "judges")}


def test_unpaired_training_makes_images(tmp_path):
    real = real_folder(tmp_path / "real")
    masks = tmp_path / "masks"
    for number in range(3):
        write(masks / f"m_{number}.tif", volume(labels_of(10 + number)))
    unpaired = {"unpaired": True, "features": 0, "adapt": 0.5, "penalty": 0.1, "penalty_every": 2}
    settings = _settings(adversary=ADVERSARY | unpaired | {"game": "logistic"})
    data = {"images": [real], "sketches": [masks]}

    whole = read_card(
        train(TRAINING, settings, data, tmp_path / "a/mine.json", work=tmp_path / "w")
    )
    assert (whole.parameters["given"], whole.parameters["process"]["steps"]) == ("labels", 1)
    inputs = {"instance-labels": volume(labels_of(0))}
    image = predict(inputs, open_model(tmp_path / "a", whole))["synthetic-image"]
    assert image.metadata["diffusion_evaluations"] == 1
    assert image.array.std() > 0


def test_roles_and_teachers_that_are_missing_are_refused(tmp_path):
    cases = {"images": TRAINING.load(paired_dataset(tmp_path), "images", _settings())}
    refused(
        "unpaired is true: expected label images or sketches",
        TRAINING.notes,
        cases,
        _settings(adversary={"unpaired": True, "features": 0}),
    )
    refused(
        "unpaired is false: expected no sketches",
        TRAINING.notes,
        cases | {"sketches": cases["images"]},
        _settings(),
    )
    refused(
        "the teacher is the model to start from; give --from",
        TRAINING.notes,
        cases,
        _settings("distillation"),
    )


@pytest.mark.parametrize(
    "message, changes",
    {
        "adversarial: expected process.steps 1, found 2": {"process": {"steps": 2}},
        "start from noise alone, found a signal of 0.6": {"process": {"t_start": 400}},
        "expected a conditioned network of velocity": {"network": {"predicts": "noise"}},
        r"crops.shape must be at least \[.*\] for these judges": {"crops": {"shape": [8, 8, 8]}},
        "features compare an image with its own": {"adversary": {"unpaired": True}},
        "teacher_steps must be a multiple": {"loss": "distillation", "process": {"steps": 3}},
        "expected process.solver ddim": {"loss": "distillation", "process": {"steps": 4}},
    }.items(),
)
def test_settings_of_few_steps_that_do_not_fit_are_refused(changes, message):
    refused(message, _settings, **changes)
