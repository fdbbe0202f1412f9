"""A toy network that learns to make images of one kind look like those of another.

Two modules, two optimisers, two roles of data, validation: all that a network brings stands
between the two lines.
"""

import numpy as np
import pytest
import torch
from pydantic import Field

from cytosuite.contract.manifest import Described
from cytosuite.metrics.evidence import Facts
from cytosuite.training.loop import train
from cytosuite.training.parts import Training
from cytosuite.training.settings import TrainingSettings

# ----------------------------------------------------------------------------------------------


class Network(Described):
    """Arguments of the generator."""

    width: int = Field(4, ge=1, description="channels")


class ToySettings(TrainingSettings):
    """Settings of the toy."""

    network: Network = Network()
    side: int = Field(8, ge=1, description="pixels of a patch along y, x")


def load(folder, role, settings):
    return [np.load(path) for path in sorted(folder.glob("*.npy"))]


def build(settings):
    width = settings.network.width
    generator = torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 1), torch.nn.Dropout(0.1), torch.nn.Conv2d(width, 1, 1)
    )
    critic = torch.nn.Conv2d(1, 1, 3)
    adam = {
        "generator": torch.optim.Adam(generator.parameters(), lr=1.0),
        "critic": torch.optim.SGD(critic.parameters(), lr=0.1, momentum=0.5),
    }
    return {"generator": generator, "critic": critic}, adam


def batch(cases, settings, step):
    rng = np.random.default_rng([settings.schedule.seed, step])
    side = settings.side
    drawn = {role: images[int(rng.integers(len(images)))] for role, images in cases.items()}
    return {role: image[None, None, :side, :side] for role, image in drawn.items()}


def step(state, batch, settings):
    generator = state.modules["generator"]
    critic = state.modules["critic"]
    fake = generator(batch["simulated"])
    judged = (critic(fake.detach()) ** 2 + (critic(batch["real"]) - 1) ** 2).mean()
    state.update("critic", judged)
    fooled = ((critic(fake) - 1) ** 2).mean() + (fake.mean() - batch["real"].mean()) ** 2
    state.update("generator", fooled)
    return {"critic": judged, "generator": fooled}


def describe(cases, settings):
    return {"images": float(sum(map(len, cases.values())))}


def validate(state, cases, settings):
    with torch.inference_mode():
        images = [torch.from_numpy(image)[None, None] for image in cases["simulated"]]
        outputs = [state.average(image)[0, 0].numpy() for image in images]
    yield Facts({"real:arrays": lambda: cases["real"], "synthetic:arrays": lambda: outputs})


def measure(cases, settings):
    return {"light": round(float(np.mean(cases["real"])), 4), "images": len(cases["real"])}


def picture(state, cases, settings):
    return np.uint8(cases["real"][0] * 50)


TOY = Training(
    algorithm="toy",
    settings=ToySettings,
    load=load,
    build=build,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    roles=("simulated", "real"),
    published="generator",
    parameters=lambda settings: None,  # it has no `predict`
)

# ----------------------------------------------------------------------------------------------

MANIFEST = """
name = "toy"
version = "0.1.0"
title = "Toy"
description = "A toy."
task = "enhance"
authors = ["nobody"]
license = "Apache-2.0"
"""
CARD = {
    "description": "A toy.",
    "authors": "nobody",
    "license": "Apache-2.0",
    "describes": {"channel": "nucleus"},
}


@pytest.fixture
def data(tmp_path, rng):
    """Return folders by role: darker simulated and brighter real images."""
    folders = {}
    for role, light in (("simulated", 0.2), ("real", 1.5)):
        folder = tmp_path / role
        folder.mkdir()
        for number in range(4):
            np.save(folder / f"{number}.npy", rng.normal(light, 0.1, (12, 12)).astype(np.float32))
        folders[role] = [folder]
    return folders


@pytest.fixture
def settings():
    """Return a function that gives settings of a short training."""

    def settings(validation=None, **schedule):
        schedule = {"steps": 12, "report": 4, "checkpoint": 5, "learning_rate": 0.02, **schedule}
        return ToySettings.model_validate(
            {"schedule": schedule, "card": CARD, "validation": validation or {}}
        )

    return settings


@pytest.fixture
def toy(tmp_path, monkeypatch, data):
    """Return a function that trains the toy under a name, and returns the card's path."""
    home = tmp_path / "algorithms"
    (home / "toy").mkdir(parents=True)
    (home / "toy/algorithm.toml").write_text(MANIFEST)
    monkeypatch.setattr("cytosuite.training.loop.ALGORITHMS", home)
    monkeypatch.setattr("cytosuite.training.publish.ALGORITHMS", home)

    def toy(settings, name="m", training=TOY, **options):
        work = tmp_path / f"work-{name}"
        return train(
            training, settings, data, tmp_path / f"weights/{name}.json", work=work, **options
        )

    toy.training = TOY
    toy.network = Network
    toy.altered = lambda **parts: Training(**{**vars(TOY), **parts})
    toy.measured = {"measure": measure, "picture": picture}
    toy.measuring = toy.altered(**toy.measured)
    return toy
