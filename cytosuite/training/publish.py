"""A trained network as a model: weights in safetensors and a card with their digest."""

from collections.abc import Iterable
from math import inf, isfinite
from pathlib import Path

import torch
from safetensors.torch import save as packed

from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.weights import user, write_model
from cytosuite.errors import count
from cytosuite.files import Entries, FloatDict, FloatMap, TextPair, read_json
from cytosuite.networks.network import tensors_of
from cytosuite.training.parts import Case, Cases, Data, State, Training
from cytosuite.training.settings import Settings
from cytosuite.training.validate import LEAST, judged, score, wanted_metrics

ALGORITHMS = Path(__file__).parents[1] / "algorithms"


def publish(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    cases: Cases[Case],
    held: Cases[Case],
    path: Path,
    facts: Entries,
    data: Data,
) -> Path:
    """Write the card of a model and its best or average weights; return the card's path."""
    described = training.described(cases, settings)
    card_facts = described.card.model_dump(mode="json")
    best = state.best
    steps = best.step if best else state.step
    parent = facts.get("parent", {})
    titles = [title(folder) for folders in data.values() for folder in folders]
    of, scored = ", ".join(titles), judged(held, state)
    purpose, kept_out = _purpose(of, (cases, held, scored), steps, parent.get("name"))
    scores = rounded({settings.validation.metric: best.score, **best.also}) if best else {}
    simpler: dict[str, FloatDict] = {}  # scores of simpler methods, by method
    if best:
        metrics = wanted_metrics(settings.validation)
        methods = training.baselines(scored, settings)
        simpler = {method: rounded(score(metrics, facts)) for method, facts in methods}
    algorithm = read_algorithm(ALGORITHMS / training.algorithm / "algorithm.toml")
    adopted = parent.get("least_gain", 0.0) > 0
    choice = algorithm.select.score
    behind = [
        method
        for method, theirs in simpler.items()
        if choice in theirs and scores.get(choice, -inf) <= theirs[choice]
    ]
    enough = parent.get("cases", LEAST) >= LEAST
    behind += [parent["name"]] if "scores" in parent and enough and not adopted else []
    purpose = card_facts["description"] or purpose
    if behind:
        purpose += (
            f" Did not beat {' and '.join(behind)} on its held-out images: used only by name."
        )
    elif not enough:
        purpose += (
            f" {settings.validation.metric} gave {count(parent['cases'], 'score')} of held-out "
            f"images; to be above {parent['name']} needs {LEAST}: used only by name."
        )
    card = {
        **card_facts,
        "parameters": training.card_parameters(described),
        "name": path.stem,
        "description": purpose,
        "authors": card_facts["authors"] or user(),
        "algorithm": training.algorithm,
        "task": algorithm.task,
        "scores": {kept_out: scores} if best else {},
        "baselines": simpler,
        "adopted": adopted,
        "trained": {
            **facts,
            "of": titles,
            "cases": {role: len(role_cases) for role, role_cases in cases.items()},
            "seed": settings.schedule.seed,
            "seconds": round(state.seconds, 1),
            "cpu_seconds": round(state.cpu_seconds, 1),
            "device": state.place,
            "torch": str(torch.__version__),
            "steps": steps,
        },
    }
    return write_model(path, card, _halved(state) if settings.schedule.steps else b"")


def _halved(state: State) -> bytes:
    """Return weights as float16, norms as float32: variances may be small; as safetensors."""
    tensors = state.best.weights if state.best else tensors_of(state.average)
    return packed(
        {
            name: value.cpu().to(torch.float16 if value.ndim > 1 else value.dtype).contiguous()
            for name, value in tensors.items()
            if value.is_floating_point()
        }
    )


def rounded(scores: FloatMap) -> FloatDict:
    """Return scores as a card has them; undefined ones are left out."""
    return {name: round(value, 4) for name, value in scores.items() if isfinite(value)}


def _purpose(of: str, parts: Iterable[Cases[Case]], steps: int, parent: str | None) -> TextPair:
    """Return a sentence about the training, and the name of the cases kept out of it."""
    count, out, scored = (sum(map(len, cases.values())) for cases in parts)
    course = f"Trained for {steps} steps" if steps else "Measured"
    start = f", from {parent or 'random weights'}" if steps else ""
    return (
        f"{course} on {count} cases of {of}{start}.",
        f"held-out {scored} of {count + out} cases of {of}",
    )


def title(folder: Path) -> str:
    """Return the name of a dataset with its size, or of a plain folder."""
    facts = folder / "dataset.json"
    record = read_json(facts) if facts.is_file() else {}
    name = str(record.get("name", folder.resolve().name))
    return name if record.get("seed") is None else f"{name}/{record['size']}"  # of a simulation
