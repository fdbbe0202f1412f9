"""The contract of an algorithm: what every one must obey, check by check."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cytosuite.benchmark.catalog.packages import (
    imports_in,
    lock,
    locked,
    need_packages,
    needed_base,
    providers,
    runtime_files,
)
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard, read_algorithm, read_card
from cytosuite.contract.points import Points
from cytosuite.contract.select import left_out, partakers, select
from cytosuite.contract.tasks import TASKS, TRACKED, TRACKS, Socket
from cytosuite.contract.weights import find_folder, open_model, read_cards
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import Entries
from cytosuite.formats.request import canvas_of
from cytosuite.volume import Volume, Volumes

Run = Callable[[Entries], Entries]  # inputs to outputs, by slug
GEOMETRY = {"ZYX": ((24, 48, 40), (1.0, 0.5, 0.5)), "YX": ((64, 48), (0.5, 0.5))}
NEEDED_SEG = 0.6
NOT_IN_IMAGE = {"algorithms", "benchmark", "datasets", "metrics", "training"}  # of the library
Broken = Literal["FAIL", "note", "skip"]
REFUSALS = (2, 3)  # exit codes: bad input, no model


class Check(NamedTuple):
    """The result of one check."""

    title: str  # the rule
    result: Literal["pass", "FAIL", "skip", "note"] = "pass"
    reason: str = ""  # of a failure or of leaving it out, or a finding

    @property
    def line(self) -> str:
        """Result, rule and reason for a reader."""
        return f"  {self.result}  {self.title}" + (f": {self.reason}" if self.reason else "")


def checks(
    root: Path, manifest: AlgorithmManifest, run: Run, named: Path | None = None
) -> Iterator[Check]:
    """Yield the checks of an algorithm; `run` raises a CytosuiteError if it fails or refuses.

    With the card of a `named` model, by which `run` goes, the others are left alone.
    """
    name = manifest.name
    yield _judged("files: function, README, row in algorithms/README.md", _files, root, name)
    yield _judged("imports: the library's core and packages of the image", need_imports, root, name)
    if named is not None:
        yield from trial(manifest, [read_card(named)], run)
        return
    if manifest.optional and not any((root / "weights" / name).glob("*.json")):
        yield Check("model cards", "skip", "none comes with it: train or convert one")
        return
    models = _judged("model cards: valid, of this task, weights there", _cards, root, manifest)
    yield models
    if models.result == "FAIL":
        return
    cards = read_cards(root / "weights" / name, name)
    yield _judged("model cards: each chosen for the images it describes", _chosen, manifest, cards)
    yield from trial(manifest, cards, run)


def trial(
    manifest: AlgorithmManifest, cards: Sequence[ModelCard], run: Run, poor: Broken = "FAIL"
) -> Iterator[Check]:
    """Yield the checks that run an algorithm with its models; `poor` is a missed example."""
    strange = [s.slug for s in _needed(manifest) if not s.is_volume]
    if strange:
        yield Check("outputs", "skip", f"no example of the input {', '.join(strange)} is known")
        return
    missing: Broken = "skip" if manifest.optional else "FAIL"  # a tool of others has its own image
    here = _judged("packages: installed here", need_packages, manifest.name, broken=missing)
    yield here
    if here.result == "pass":
        yield from _outputs(manifest, cards, run, poor)


def example(manifest: AlgorithmManifest, axes: str) -> dict[str, Volume]:
    """Return example inputs of an algorithm: those that are not optional, or that it needs."""
    shape, spacing = GEOMETRY[axes]
    ball = nucleus(axes)
    noise = np.random.default_rng(0).normal(100, 4, shape)
    image = Volume((noise + 150 * ball).astype(np.uint16), spacing, axes, {"channel": "nucleus"})
    kinds = {
        "image": image,
        "labels": image.like(ball.astype(np.uint16)),
        "canvas": canvas_of({"seed": 1, "shape": [*shape], "spacing": [*spacing]}),
    }
    sockets = [socket for socket in _needed(manifest) if socket.is_volume]
    if not sockets:  # all are optional: the algorithm takes those that are there
        sockets = [s for s in TASKS[manifest.task].inputs if s.is_volume]
    films = {
        kind: replace(volume, array=np.stack([volume.array] * 3), axes=f"T{axes}")
        for kind, volume in kinds.items()
    }
    return {s.slug: (films if s.movie else kinds)[s.kind] for s in sockets}


def nucleus(axes: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the mask of the nucleus in the middle of `example`."""
    shape, spacing = GEOMETRY[axes]
    lengths = [(np.arange(n) - n / 2) * step for n, step in zip(shape, spacing, strict=True)]
    return np.asarray(sum(axis**2 for axis in np.meshgrid(*lengths, indexing="ij")) < 25)


def _judged(
    title: str,
    rule: Callable[..., None],
    *arguments: Any,  # noqa: ANN401
    broken: Broken = "FAIL",
) -> Check:
    """Return the result of a rule: a broken one raises."""
    try:
        rule(*arguments)
    except CytosuiteError as error:
        return Check(
            title, broken if isinstance(error, InputError) else "FAIL", " ".join(str(error).split())
        )
    return Check(title)


def _needed(manifest: AlgorithmManifest) -> list[Socket]:
    """Return the inputs without which an algorithm cannot run."""
    return [s for s in TASKS[manifest.task].inputs if not s.optional or s.slug in manifest.needs]


def _files(root: Path, name: str) -> None:
    """Refuse a folder without function or README, or one that the list does not name."""
    for file in ("predict.py", "README.md"):
        if not (root / "algorithms" / name / file).is_file():
            raise InputError(f"algorithms/{name}/{file} is missing")
    listed = root / "algorithms/README.md"
    if listed.is_file() and f"[{name}]" not in listed.read_text("utf-8"):
        raise InputError(f"algorithms/README.md does not list [{name}]({name}/README.md)")


def need_imports(root: Path, name: str) -> None:
    """Refuse imports that an image of the algorithm does not hold."""
    folder = root / "algorithms" / name
    names = {name, *read_algorithm(folder / "algorithm.toml").uses}
    base = lock(root, needed_base(root, name, "cpu")[0])
    there = locked([base, folder / "requirements.txt"])
    for path in runtime_files(root, name):
        if not path.is_relative_to(folder) or path.suffix != ".py":
            continue
        parent = ".".join(("cytosuite", *path.relative_to(root).parent.parts))
        for module in sorted(imports_in(path, parent, later=True)):
            where = f"algorithms/{path.relative_to(root / 'algorithms')} imports {module}"
            first, *rest = module.split(".")
            if first == "cytosuite":
                inside = rest[:1] == ["algorithms"] and {*rest[1:2]} <= names
                if rest and rest[0] in NOT_IN_IMAGE and not (inside and "training" not in rest):
                    raise InputError(f"{where}: an image holds the core of cytosuite alone")
            elif first in sys.stdlib_module_names or providers(first) & there:
                continue
            elif base.is_file() and not (folder / "Dockerfile").is_file():
                raise InputError(
                    f"{where}: no package of the image; name it and what it needs in "
                    f"algorithms/{name}/requirements.txt"
                )


def _cards(root: Path, manifest: AlgorithmManifest) -> None:
    """Refuse cards of another task, and weights that are missing or altered."""
    folder = find_folder([root / "weights" / manifest.name])
    for card in read_cards(folder, manifest.name):
        if card.task != manifest.task:
            raise InputError(f"{card.name}: expected the task {manifest.task}, found {card.task}")
        open_model(folder, card)


def _chosen(manifest: AlgorithmManifest, cards: Sequence[ModelCard]) -> None:
    """Refuse a card that loses against another on the images it describes."""
    partakers(cards, manifest.select)
    plain = [card.model_copy(update={"used": {}}) for card in cards]
    among = [card for card in plain if not left_out(card, manifest.select)]
    for card in plain if len(plain) == 1 else among:
        found = select(plain, card.images, manifest.select)
        heir = (found.card.exact and not card.exact) or (card.parent and card.name in found.tie)
        if (card.name != found.card.name and not heir) or found.fallback:
            raise InputError(f"{found.card.name} is chosen for the images of {card.name}")


def _outputs(
    manifest: AlgorithmManifest, cards: Sequence[ModelCard], run: Run, poor: Broken
) -> Iterator[Check]:
    """Yield the checks of outputs; images that no card is made for may be refused."""
    described = [card.describes for card in cards]
    nuclei = any(facts.get("channel", "nucleus") == "nucleus" for facts in described)
    time = "T" * TASKS[manifest.task].inputs[0].movie
    served = {
        axes
        for axes in GEOMETRY
        for facts in described
        if facts.get("axes", time + axes) == time + axes
    }
    stacks = any(socket.axes for socket in TASKS[manifest.task].inputs)
    for axes in ["ZYX"] if stacks else GEOMETRY:  # else a plane is refused before the algorithm
        words = f"{len(axes)}D"
        refused = f"{words}: refused, as no model is made for it"
        inputs = example(manifest, axes)
        try:
            outputs = run(inputs)
        except CytosuiteError as error:
            if axes not in served and error.exit_code in REFUSALS:
                yield Check(refused)
            else:
                yield Check(f"{words}: outputs", "FAIL", " ".join(str(error).split()))
            continue
        if axes not in served:
            reason = f"gave outputs, though no model card describes images with axes {axes}"
            yield Check(refused, "FAIL", reason)
            continue
        title = f"{words}: outputs with the input's geometry"
        yield _judged(title, _geometry, manifest, inputs, outputs)
        yield _judged(f"{words}: the same again", _repeats, inputs, outputs, run)
        if manifest.task == "segment" and nuclei:
            yield _judged(f"{words}: finds one nucleus", _finds_one, axes, outputs, broken=poor)
            title = f"{words}: finds nothing where nothing is"  # a threshold of noise may, honestly
            yield _judged(title, _finds_none, inputs, run, broken="note")
        elif manifest.task == "segment":
            yield Check(f"{words}: one nucleus", "skip", "no model card is for nuclei")


def _geometry(manifest: AlgorithmManifest, inputs: Volumes, outputs: Entries) -> None:
    """Refuse missing outputs, another shape, spacing or axes, and numbers of the wrong kind."""
    task = TASKS[manifest.task]
    main = next(iter(inputs.values()))
    required = {socket.slug for socket in task.outputs if not socket.optional}
    if not required <= set(outputs):
        raise InputError(f"expected the outputs {sorted(required)}, found {sorted(outputs)}")
    for socket in (socket for socket in task.outputs if socket.slug in outputs):
        if socket.is_file:
            continue
        output = outputs[socket.slug]
        for key in ("shape", "spacing", "axes"):
            ours = getattr(main, key)
            theirs = getattr(output, key)
            if ours != theirs:
                raise InputError(f"{socket.slug}: expected the {key} {ours}, found {theirs}")
        if output.array.dtype.kind not in ("u" if socket.kind == "labels" else "uif"):
            raise InputError(f"{socket.slug}: found the dtype {output.array.dtype}")
    if TRACKS.slug in outputs:
        from cytosuite.metrics.tracks.lineage import TrackedSequence
        from cytosuite.metrics.tracks.matched_tracks import check_sequence  # numba

        tracked = TrackedSequence(outputs[TRACKS.slug], outputs[TRACKED.slug].array)
        check_sequence(tracked, "labels and rows differ")


def _repeats(inputs: Volumes, outputs: Entries, run: Run) -> None:
    """Refuse an algorithm that gives something else the second time."""
    for slug, again in run(inputs).items():
        first = outputs[slug]
        if isinstance(again, Points):
            again = again.document()
            first = first.document()
        image = isinstance(again, Volume)
        if not (np.array_equal(again.array, first.array) if image else again == first):
            raise InputError(f"{slug} differs between two runs; draw from a fixed seed")


def _finds_one(axes: str, outputs: Entries) -> None:
    """Refuse a segmenter that misses, splits or misjudges one bright nucleus."""
    from cytosuite.metrics import det, seg  # numba

    truth = nucleus(axes).astype(np.uint8)
    labels = outputs["instance-labels"].array
    scores = {"SEG": seg(truth, labels), "DET": det(truth, labels)}
    if not (scores["SEG"] > NEEDED_SEG and scores["DET"] == 1.0):
        raise InputError(
            f"expected SEG above {NEEDED_SEG} and DET 1 on one bright nucleus of 10 µm, found "
            + ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        )


def _finds_none(inputs: Volumes, run: Run) -> None:
    """Name the objects that a segmenter finds in noise or in a constant image."""
    slug, image = next(iter(inputs.items()))
    noise = np.random.default_rng(1).normal(100, 4, image.shape).astype(np.uint16)
    for words, array in (("noise", noise), ("a constant image", np.full_like(noise, 7))):
        labels = run({**inputs, slug: image.like(array)})["instance-labels"].array
        if labels.any():
            raise InputError(f"found {np.unique(labels[labels > 0]).size} objects in {words}")
