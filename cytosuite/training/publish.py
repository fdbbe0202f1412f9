"""A trained network as a model: weights in safetensors and a card with their digest."""

from math import inf, isfinite
from pathlib import Path

import torch
from safetensors.torch import save as packed

from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.weights import user, write_model
from cytosuite.errors import count
from cytosuite.files import Entries, FloatDict, FloatMap, read_json
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
    of = ", ".join(titles)
    scored = judged(held, state)
    learned, left_out, judged_on = (sum(map(len, part.values())) for part in (cases, held, scored))
    course = f"Trained for {steps} steps" if steps else "Measured"
    start = f", from {parent.get('name') or 'random weights'}" if steps else ""
    scores = rounded({settings.validation.metric: best.score, **best.also}) if best else {}
    simpler = {}  # scores of simpler methods, by method
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
    purpose = card_facts["description"] or f"{course} on {learned} cases of {of}{start}."
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
        "scores": {f"held-out {judged_on} of {learned + left_out} cases of {of}": scores}
        if best
        else {},
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


def title(folder: Path) -> str:
    """Return the name of a dataset with its size, or of a plain folder."""
    facts = folder / "dataset.json"
    record = read_json(facts) if facts.is_file() else {}
    name = str(record.get("name", folder.resolve().name))
    return name if record.get("seed") is None else f"{name}/{record['size']}"  # of a simulation
