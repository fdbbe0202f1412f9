"""What holds for the training of every network: its model answers as its validation saw it."""

from functools import partial

import pytest
import torch
from mistakes import refused
from trainings import TRAININGS, cases_of, short, written

from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import Model, open_model
from cytosuite.errors import InputError
from cytosuite.training.command import training_of
from cytosuite.training.heldout import facts_of_sets, program
from cytosuite.training.loop import begin, complete, take_step, train
from cytosuite.training.validate import score, wanted_metrics

# Metrics of validations that are not SEG.
METRICS = {
    "masks": "arrangement_distance",
    "cyclegan3d": "W1_by_std",
    "diffusion": "W1_by_std",
    "view_fusion": "NRMSE",
}


@pytest.fixture(params=TRAININGS)
def tiny(request, tmp_path):
    """Return a training with settings of two steps, and its data by role."""
    name = request.param
    validation = {"every": 2, "metric": METRICS.get(name, "SEG"), "cases": 1}
    return training_of(name), short(name, validation=validation), written(name, tmp_path)


@pytest.fixture
def begun(tiny):
    """Return a training, its cases and their settings."""
    training, settings, data = tiny
    cases = cases_of(training.algorithm, data, settings)
    return training, cases, complete(training, settings, cases, None, lambda _: None)


def test_tiles_that_are_all_halo_are_refused_before_a_training(tiny, tmp_path):
    training, settings, data = tiny
    parameters = {"halo": [0, 16, 16]} if training.algorithm == "u2net" else {}
    small = settings.with_card(parameters={"tile": [1, 2, 2], **parameters})
    message = r"card\.parameters: .*tile must be at least .* \[1, 2, 2\]"
    refused(message, train, training, small, data, tmp_path / "tiny.json", work=tmp_path / "work")
    assert not (tmp_path / "work/checkpoint.pt").exists()


def test_a_training_publishes_a_model_that_answers_as_it_was_judged(tiny, tmp_path):
    training, settings, data = tiny
    path = train(training, settings, data, tmp_path / "tiny.json", work=tmp_path / "work")
    card = read_card(path)
    assert card.parameters["network"] == settings.network.model_dump(mode="json")
    if not training.brings("held_out"):  # it has a validation of its own
        return
    (scores,) = card.scores.values()
    cases = cases_of(training.algorithm, data, settings)
    held = {role: [items[len(items) // 2]] for role, items in cases.items()}
    judged = card.model_copy(update={"parameters": {**card.parameters, **training.judged_with}})
    scene = training.held_out(
        *held[training.roles[0]], 0, settings.with_card(describes=card.describes)
    )
    outputs = program(training.algorithm).predict(
        scene.inputs, Model(judged, open_model(tmp_path, card).weights)
    )
    answer = next(iter(outputs.values()))
    facts = [*scene.facts(answer), *facts_of_sets(training.real(held, settings), [answer])]
    # Published weights have half the digits.
    assert score(wanted_metrics(settings.validation), facts) == pytest.approx(
        scores, rel=0.02, abs=1e-3
    )


def test_a_step_is_drawn_from_seed_and_number_alone(begun):
    training, cases, settings = begun
    cases = training.prepare_cases(cases, settings)

    def drawn(step, seed=7):
        batch = training.batch(cases, settings.with_schedule(seed=seed), step)
        assert all(part.flags.c_contiguous for part in batch.values())  # as torch takes them
        return {name: part.tobytes() for name, part in batch.items()}

    steps = [drawn(step) for step in range(3)]
    assert [drawn(step) for step in (2, 1, 0)] == steps[::-1]
    assert steps[0] != steps[1] != steps[2] != drawn(2, seed=8)


@pytest.mark.parametrize(
    "tiny, steps", {"cellpose3d": 40, "harmonicnet": 20, "u2net": 12}.items(), indirect=["tiny"]
)
def test_the_loss_falls_on_one_fixed_batch(begun, steps):
    training, cases, settings = begun
    settings = settings.with_schedule(steps=steps)
    batch = training.batch(training.prepare_cases(cases, settings), settings, 3)
    state = begin(training, settings, None, "cpu")
    state.rounding = 1.0  # float32
    losses = [take_step(training, settings, state, batch) for _ in range(steps)]
    totals = [float(loss["total"].detach()) for loss in losses]
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])


# The second has a validation of its own.
@pytest.mark.parametrize("tiny", ["view_fusion", "harmonicnet"], indirect=True)
def test_the_average_network_is_judged(begun):
    training, cases, settings = begun
    settings = training.described(cases, settings)
    state = begin(training, settings, None, "cpu")
    judged = partial(training.validate, state, cases, settings)
    before = score(wanted_metrics(settings.validation), judged())
    for weight in state.modules[training.published].parameters():
        torch.nn.init.ones_(weight)
    assert score(wanted_metrics(settings.validation), judged()) == pytest.approx(
        before, nan_ok=True
    )


@pytest.mark.parametrize("tiny", ["u2net"], indirect=True)
def test_a_held_out_case_that_the_algorithm_refuses_counts_as_empty(begun, monkeypatch, caplog):
    training, cases, settings = begun
    settings = training.described(cases, settings)

    def refuse(*_):
        raise InputError("no background")

    monkeypatch.setattr(type(training), "answer", refuse)
    state = begin(training, settings, None, "cpu")
    scores = score(
        wanted_metrics(settings.validation), [*training.validate(state, cases, settings)]
    )
    assert scores["SEG"] == 0.0
    assert "held-out case 1 counts as empty: no background" in caplog.text
