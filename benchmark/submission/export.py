"""Export an algorithm for a challenge platform: image, models, and their record."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from cytosuite.benchmark.engines.external import API_LABEL
from cytosuite.benchmark.engines.images.blueprints import by_name, write_tarball
from cytosuite.benchmark.engines.images.build import SOURCE_LABEL
from cytosuite.benchmark.engines.images.daemon import Client, daemon_errors
from cytosuite.benchmark.submission.profiles import RESERVED_GIB
from cytosuite.benchmark.submission.rehearsal import rehearsed
from cytosuite.benchmark.submission.repack import Repacked, pack_image, repack
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard
from cytosuite.contract.select import partakers
from cytosuite.contract.tasks import TASKS, Socket
from cytosuite.contract.weights import USES, open_model, read_cards
from cytosuite.contract.words import Api
from cytosuite.errors import InputError
from cytosuite.files import (
    Entries,
    Json,
    TextMap,
    TextSeq,
    file_digest,
    read_json,
    visible_files,
    work_folder,
    write_json,
)
from cytosuite.files.working import alone

RECORD = "export.json"
EXPORTED = "cytosuite-export"  # repository of the tags in archives
MODELS = "/opt/app/model"  # in our images
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"
CHUNK = 2**21
STAGES = ("saving", "normalising", "packing")
Step = Callable[[int, int, str], None]  # percent done, in all, stage


class Submission(NamedTuple):
    """An algorithm to hand in."""

    manifest: AlgorithmManifest
    tag: str
    api: Api = "invoke"  # interface that the exported image announces and serves
    models: Literal["inside", "apart"] = "inside"  # apart: in the tarball alone, not in the image


def export(
    client: Client, submission: Submission, root: Path, folder: Path, step: Step = lambda *_: None
) -> Json:
    """Write the files to upload for an algorithm, and return their record; or InputError."""
    manifest = submission.manifest
    weights = root / "weights" / submission.manifest.name
    task = TASKS[manifest.task]
    cards = read_cards(weights, manifest.name)
    partakers(cards, manifest.select)  # else each image fails on the platform
    for card in cards:
        open_model(weights, card)  # before the minutes that an image takes
    changes = {"Cmd": [submission.api], "Labels": {API_LABEL: submission.api}}
    without = [MODELS] if submission.models == "apart" else []
    path, image, labels = export_image(client, submission.tag, folder, changes, without, step)
    source = labels.get(SOURCE_LABEL, "")
    record = {
        "algorithm": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "api": submission.api,
        "image": _about(path)
        | {
            "id": f"sha256:{image.id}",
            "unpacked_bytes": sum(layer.bytes for layer in image.layers),
            "layers": [f"sha256:{layer.digest}" for layer in image.layers],
        },
        "models": _pack_models(manifest.name, cards, weights, folder, submission.models),
        "limits": {
            "memory_gib": manifest.resources.memory_gib,
            "ask_for_gib": manifest.resources.memory_gib + RESERVED_GIB,
            "gpu": manifest.resources.gpu,
        },
        "inputs": [_socket(socket) for socket in task.inputs],
        "outputs": [_socket(socket) for socket in task.outputs if not socket.course],
        "source": {"revision": labels.get(REVISION, "unknown"), "digest": source},
        "rehearsed": rehearsed(root / "runs", manifest.name, source, submission.api),
    }
    _record(folder / RECORD, record)
    return record


def export_image(
    client: Client,
    tag: str,
    folder: Path,
    changes: Entries,
    without: TextSeq = (),
    step: Step = lambda *_: None,
) -> tuple[Path, Repacked, TextMap]:
    """Write ``<name>_<id>.tar.gz``; return the path, its image and labels, or InputError."""
    name = _name(tag)
    with alone(folder), work_folder(folder) as scratch:
        saved = scratch / "saved.tar"
        labels, newest_s = _saved(client, tag, saved, step)
        image = repack(saved, saved.parent, changes, newest_s, without, _stage(step, 1))
        path = folder / f"{name}_{image.id[:12]}.tar.gz"
        if not path.is_file():
            # Not the tag of the build: loading an export must not take its place.
            pack_image(image, path, f"{EXPORTED}/{name}:{image.id[:12]}", _stage(step, 2))
    return path, image, labels


def _saved(client: Client, tag: str, saved: Path, step: Step) -> tuple[TextMap, int]:
    """Save an image, and return its labels and the time of its sources [s]."""
    saving = _stage(step, 0)
    done = 0
    with daemon_errors(f"export of {tag}"):
        image = client.images.get(tag)
        size = int(image.attrs.get("Size") or 0)
        with saved.open("wb") as stream:
            for part in image.save(chunk_size=CHUNK):
                stream.write(part)
                saving(done := done + len(part), max(size, done))
    created = image.labels.get(CREATED, "")
    try:
        return image.labels, int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        raise InputError(
            f"{tag}: expected the time of its sources in the label {CREATED}, found {created!r}; "
            f"run `make build-{_name(tag)}`, with ARG CREATED and LABEL {CREATED}=$CREATED in a "
            "Dockerfile of its own"
        ) from None


def _name(tag: str) -> str:
    return tag.rpartition("/")[2].partition(":")[0]


def _stage(step: Step, number: int) -> Callable[[int, int], None]:
    """Return a function of the bytes done and in all that shows a stage as a part of the whole."""

    def _show(done: int, total: int) -> None:
        step(round(100 * (number + done / max(total, 1))), 100 * len(STAGES), STAGES[number])

    return _show


def _pack_models(
    name: str, cards: Sequence[ModelCard], weights: Path, folder: Path, place: str
) -> Json:
    """Write the tarball of the models, and return its record with the cards; empty without any."""
    if not cards:
        return {}
    path = folder / f"{name}-model.tar.gz"
    suffixes = {".json", ".safetensors"}
    files = [f for f in visible_files(weights) if f.suffix in suffixes or f.name == USES]
    write_tarball(path, by_name(files, weights))
    named = {card.name: {"version": card.version, "sha256": card.sha256} for card in cards}
    return _about(path) | {"place": place, "cards": named}


def _socket(socket: Socket) -> Json:
    place = {"slug": socket.slug, "kind": socket.platform_kind}
    place["relative_path"] = socket.relative_path
    return place | ({"optional": True} if socket.optional else {})


def _about(path: Path) -> Json:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def _record(path: Path, record: Entries) -> None:
    """Add the record of an export to the file, with the ids of earlier exports."""
    records = read_json(path) if path.is_file() else {}
    if not isinstance(records, dict):
        raise InputError(f"{path}: expected the record of exports, found something else; move it")
    before = records.get(record["algorithm"], {})
    ids = [*before.get("earlier", []), before.get("image", {}).get("id")]
    earlier = [
        image_id
        for image_id in dict.fromkeys(ids)
        if image_id and image_id != record["image"]["id"]
    ]
    write_json(path, records | {record["algorithm"]: {**record, "earlier": earlier}})
