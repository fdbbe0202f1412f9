"""Train the segmenter: ``python -m algorithms.cellpose3d.training.train --data DIR --name NAME``."""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import nan
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save as packed

from algorithms.cellpose3d.training.cases import Case, find_cases, load_cases
from algorithms.cellpose3d.training.checkpoint import HERE, Origin, State, begin, origin, restore, save
from algorithms.cellpose3d.training.losses import Losses, draw_thresholds, losses
from algorithms.cellpose3d.training.patches import Batch, ahead, draw_batch
from algorithms.cellpose3d.training.settings import Settings, read_settings
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import atomic, write_json
from cytosuite.manifest import ModelCard, parse
from cytosuite.training.tools import Log, follow, one_cycle, polite_interrupt, tensors_of

Say = Callable[[str], None]

ALGORITHM = HERE.name
COLUMNS = ("step", "total", "level", "flow", "heat", "rate", "seconds")
_LOADERS = {"cpu": 0, "cuda": 8}  # a GPU waits for patches, a CPU has nothing to spare for them


class StoppedError(CytosuiteError):
    """The training was interrupted and can be resumed."""

    exit_code = 130


class DivergedError(CytosuiteError):
    """The training has left the range of numbers and cannot go on."""

    exit_code = 1


def train(
    data: Path,
    out: Path,
    name: str,
    settings: Settings,
    *,
    work: Path,
    resume: bool = True,
    parent: Path | None = None,
    device: str = "cpu",
    say: Say = lambda _: None,
) -> Path:
    """Train a network, and return the path of its card.

    Parameters
    ----------
    data : Path
        Training volumes, see `algorithms.cellpose3d.training.cases.find_cases`.
    out : Path
        Folder for ``<name>.safetensors`` and ``<name>.json``.
    name : str
        Of the model.
    settings : Settings
    work : Path
        Folder for ``log.csv`` and ``checkpoint.safetensors``.
    resume : bool
        Whether to go on from the checkpoint, if there is one.
    parent : Path, optional
        Card of a model whose weights to start from.
    device : {"cpu", "cuda"}
    say : callable
        Receives lines for the user.

    Raises
    ------
    InputError
        If the data, the parent or the checkpoint do not fit.
    StoppedError
        After Ctrl-C, once the checkpoint is written.
    DivergedError
        If the gradient is not finite.

    Notes
    -----
    On a CPU with one thread the weights depend on data, settings, parent and kind of processor
    alone, also after an interruption. Memory: 13 bytes per voxel of the data.
    """
    files = find_cases(data, settings.channel)
    made_from = origin(data, settings, parent)
    state = begin(settings, parent, device)
    checkpoint = work / "checkpoint.safetensors"
    if resume and checkpoint.is_file():
        restore(state, checkpoint, made_from)
        say(f"resumed after step {state.step} of {settings.schedule.steps}")
    say(f"reading {len(files)} volumes")
    cases = load_cases(files, settings.patches.shape, settings.flow, settings.patches.stray)
    weights = sum(weight.numel() for weight in state.network.parameters())
    say(f"{weights:,} weights, {precision(device)} on {device}")
    run(state, cases, settings, device, work, made_from, say)
    return publish(state, cases, out, name, settings, made_from, device)


def run(
    state: State,
    cases: Sequence[Case],
    settings: Settings,
    device: str,
    work: Path,
    made_from: Origin,
    say: Say,
) -> None:
    """Take the steps that are left; parameters and errors as in `train`."""
    schedule, first, before = settings.schedule, state.step, state.seconds
    log = Log(work / "log.csv", COLUMNS, after=first)
    draw = partial(draw_batch, cases, settings.patches, schedule.seed)
    recent: list[torch.Tensor] = []
    began = time.perf_counter()
    with polite_interrupt() as interrupt:
        for step, batch in ahead(draw, first, schedule.steps, _LOADERS[device]):
            recent.append(torch.stack(take_step(state, batch, settings, device)).detach())
            last = state.step == schedule.steps
            if state.step % schedule.report == 0 or last:
                means = torch.stack(recent).mean(0).tolist()
                recent.clear()
                state.seconds = before + time.perf_counter() - began
                log.add(state.step, [*means, rate(settings, step), state.seconds])
                pace = (state.seconds - before) / (state.step - first)
                say(_line(state.step, schedule.steps, means, pace))
            if state.step % schedule.checkpoint == 0 or last or interrupt.asked:
                state.seconds = before + time.perf_counter() - began
                save(state, work / "checkpoint.safetensors", made_from)
            if interrupt.asked and not last:
                raise StoppedError(
                    f"stopped after step {state.step}; the same command goes on from there"
                )


def take_step(state: State, batch: Batch, settings: Settings, device: str) -> Losses:
    """Take one step of the optimiser, and return the losses before it.

    Parameters
    ----------
    state : State
        Changed in place.
    batch : Batch
    settings : Settings
    device : {"cpu", "cuda"}

    Raises
    ------
    DivergedError
        If the gradient is not finite; the weights are as they were.
    """
    schedule = settings.schedule
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + state.step)
    thresholds = draw_thresholds(generator, settings.loss).to(device)
    image, target = (torch.from_numpy(array).to(device) for array in batch)
    for group in state.optimiser.param_groups:
        group["lr"] = rate(settings, state.step)
    state.network.train()
    kind = precision(device)
    with torch.autocast(device, kind, enabled=kind != torch.float32):
        prediction = state.network(image)
    found = losses(prediction, target, thresholds, settings.loss)
    state.optimiser.zero_grad()
    cast(Any, found.total).backward()
    norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), schedule.clip)
    if not torch.isfinite(norm):
        raise DivergedError(
            f"step {state.step + 1}: the gradient is not finite; lower schedule.learning_rate and "
            "give --restart"
        )
    state.optimiser.step()
    follow(state.average, state.network, schedule.average, state.step)
    state.step += 1
    return found


def rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    schedule = settings.schedule
    return one_cycle(step, schedule.steps, schedule.learning_rate, schedule.warm_up)


def precision(device: str) -> torch.dtype:
    """Return bfloat16 where the processor computes with it, else float32."""
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def _line(done: int, steps: int, means: Sequence[float], pace: float) -> str:
    """Return what the user sees of the last steps."""
    total, level, flow, heat = means
    left = round(pace * (steps - done))
    return (
        f"step {done}/{steps}  loss {total:.3f} (level {level:.3f}, flow {flow:.3f}, heat "
        f"{heat:.4f})  {pace:.2f} s/step  {left // 60} min {left % 60:02d} s left"
    )


def publish(
    state: State,
    cases: Sequence[Case],
    out: Path,
    name: str,
    settings: Settings,
    made_from: Origin,
    device: str,
) -> Path:
    """Write the averaged weights and the card, and return the card's path.

    Parameters as in `train`. What the settings do not say of the images, voxel size and typical
    lateral diameter of a nucleus in µm, is that of the median case.
    """
    weights = out / f"{name}.safetensors"
    content = packed(
        {
            # Norms stay in float32: their variances may be too small for float16.
            key: value.cpu().to(torch.float16 if value.ndim > 1 else value.dtype).contiguous()
            for key, value in tensors_of(state.average).items()
            if value.is_floating_point()
        }
    )
    with atomic(weights) as temporary:
        temporary.write_bytes(content)
    diameters = np.concatenate([case.diameters_um for case in cases])
    measured = {
        "spacing": np.median([case.spacing for case in cases], 0).round(4).tolist(),
        "diameter_um": round(float(np.median(diameters)), 2) if diameters.size else nan,
    }
    say_of_it = settings.card.model_dump(mode="json")
    card = {
        **say_of_it,
        "name": name,
        "algorithm": ALGORITHM,
        "task": "segment",
        "describes": {**measured, **say_of_it["describes"]},
        "parameters": {"network": settings.network.arguments(), **say_of_it["parameters"]},
        "weights": weights.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "trained": {
            **made_from,
            "volumes": len(cases),
            "steps": state.step,
            "seed": settings.schedule.seed,
            "seconds": round(state.seconds, 1),
            "device": f"{device}, {precision(device)}",
            "torch": str(torch.__version__),
        },
    }
    path = out / f"{name}.json"
    write_json(path, parse(path, card, ModelCard).model_dump(mode="json"))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(prog="algorithms.cellpose3d.training.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="training volumes")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--out", type=Path, default=Path("weights") / ALGORITHM, help="its folder")
    parser.add_argument("--settings", type=Path, default=HERE / "train.toml", help="TOML file")
    parser.add_argument("--work", type=Path, help="folder for log and checkpoint")
    parser.add_argument("--from", type=Path, dest="parent", help="card of a model to start from")
    parser.add_argument("--steps", type=int, help="batches")
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--learning-rate", type=float, help="highest rate")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--device", choices=sorted(_LOADERS), default="cpu")
    parser.add_argument("--restart", action="store_true", help="ignore an earlier checkpoint")
    given = parser.parse_args(arguments)
    changes = {"steps": given.steps, "seed": given.seed, "learning_rate": given.learning_rate}
    try:
        if given.threads < 1:
            raise InputError(f"--threads must be 1 or more, found {given.threads}")
        torch.set_num_threads(given.threads)
        card = train(
            given.data,
            given.out,
            given.name,
            read_settings(given.settings).with_schedule(**changes),
            work=given.work or Path("runs") / "training" / given.name,
            resume=not given.restart,
            parent=given.parent,
            device=given.device,
            say=_say,
        )
    except CytosuiteError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    _say(f"written: {card}")
    return 0


def _say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
