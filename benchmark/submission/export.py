"""Export an algorithm for a challenge platform: image, models, contents, and their record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from cytosuite.benchmark.claims import alone
from cytosuite.benchmark.containers.build import SOURCE_LABEL
from cytosuite.benchmark.containers.context import by_name, write_tarball
from cytosuite.benchmark.containers.daemon import Client, daemon_errors
from cytosuite.benchmark.engines.guest import API_LABEL
from cytosuite.benchmark.engines.outcome import Api
from cytosuite.benchmark.submission.contents import contents, licences, write_contents
from cytosuite.benchmark.submission.rehearsal import rehearsed
from cytosuite.benchmark.submission.repack import Repacked, pack_image, repack
from cytosuite.benchmark.submission.sites import RESERVED_GIB
from cytosuite.errors import InputError
from cytosuite.files import (
    file_digest,
    full_disk,
    read_json,
    visible_files,
    write_json,
)
from cytosuite.manifest import AlgorithmManifest, ModelCard
from cytosuite.tasks import TASKS, Socket
from cytosuite.weights import open_model, read_cards

RECORD = "export.json"
EXPORTED = "cytosuite-export"  # repository of the tags in archives
MODELS = "/opt/app/model"  # in our images
CREATED, REVISION = (f"org.opencontainers.image.{key}" for key in ("created", "revision"))
CHUNK = 2**21
STAGES = ("saving", "normalising", "packing")
Step: TypeAlias = Callable[[int, int, str], None]  # percent done, in all, stage


@dataclass(frozen=True, slots=True)
class Wanted:
    """An algorithm to hand in.

    Parameters
    ----------
    manifest : AlgorithmManifest
    tag : str
        Of its image.
    api : str
        The interface that the exported image announces and its command serves.
    models : str
        ``apart`` leaves the models out of the image: they come with the tarball alone.
    """

    manifest: AlgorithmManifest
    tag: str
    api: Api = "invoke"
    models: Literal["inside", "apart"] = "inside"


def export(
    client: Client, wanted: Wanted, root: Path, folder: Path, step: Step = lambda *_: None
) -> dict[str, Any]:
    """Write the files to upload for an algorithm, and return their record.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that has the image.
    wanted : Wanted
    root : Path
        The checkout: holds the models and the records of rehearsals.
    folder : Path
        Gets ``<name>_<id>.tar.gz``, ``<name>-model.tar.gz``, ``<name>_<id>.cdx.json`` and
        ``export.json``.
    step : callable
        Called with the percentage done, that of all stages, and the stage.

    Raises
    ------
    InputError
        If the daemon fails, the image does not say how old its sources are, or a model is not that
        of its card.

    Notes
    -----
    The same image gives the same bytes, and an archive that is there already is left.
    """
    manifest, weights = wanted.manifest, root / "weights" / wanted.manifest.name
    cards = read_cards(weights, manifest.name)
    for card in cards:
        open_model(weights, card)  # before the minutes that an image takes
    changes = {"Cmd": [wanted.api], "Labels": {API_LABEL: wanted.api}}
    without = [MODELS] if wanted.models == "apart" else []
    path, image, labels = export_image(client, wanted.tag, folder, changes, without, step)
    found = contents(path)
    listed = folder / f"{manifest.name}_{image.id[:12]}.cdx.json"
    write_contents(listed, manifest, image.id, found, cards if wanted.models == "inside" else ())
    source = labels.get(SOURCE_LABEL, "")
    record = {
        "algorithm": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "api": wanted.api,
        "image": _about(path) | {"id": f"sha256:{image.id}", **_sizes(image)},
        "models": _pack_models(manifest.name, cards, weights, folder, wanted.models),
        "limits": _limits(manifest),
        **_sockets(manifest),
        "contents": _about(listed) | {"packages": len(found), "licences": licences(found)},
        "source": {"revision": labels.get(REVISION, "unknown"), "digest": source},
        "rehearsed": rehearsed(root / "runs", manifest.name, source, wanted.api),
    }
    _record(folder / RECORD, record)
    return record


def export_image(
    client: Client,
    tag: str,
    folder: Path,
    changes: Mapping[str, Any],
    without: Sequence[str] = (),
    step: Step = lambda *_: None,
) -> tuple[Path, Repacked, Mapping[str, str]]:
    """Write an image as ``<name>_<id>.tar.gz``; return the archive, its content and its labels.

    Parameters
    ----------
    client : docker.DockerClient
        Of the daemon that has the image.
    tag : str
        Of the image: ``cytosuite/<name>:<version>``.
    folder : Path
        For the archive; one that is there already is left.
    changes, without
        As of `cytosuite.benchmark.submission.repack.repack`.
    step : callable
        As of `export`.

    Raises
    ------
    InputError
        If the daemon fails, or the image does not say how old its sources are.
    """
    name = _name(tag)
    with alone(folder), full_disk(folder), TemporaryDirectory(dir=folder, prefix=".") as scratch:
        image, labels = _normalised(client, tag, Path(scratch), changes, without, step)
        path = folder / f"{name}_{image.id[:12]}.tar.gz"
        if not path.is_file():
            # Not the tag of the build: loading an export must not take its place.
            pack_image(image, path, f"{EXPORTED}/{name}:{image.id[:12]}", _stage(step, 2))
    return path, image, labels


def _normalised(
    client: Client,
    tag: str,
    scratch: Path,
    changes: Mapping[str, Any],
    without: Sequence[str],
    step: Step,
) -> tuple[Repacked, Mapping[str, str]]:
    """Return an image without times of its build, and its labels."""
    saved, saving, done = scratch / "saved.tar", _stage(step, 0), 0
    with daemon_errors(f"export of {tag}"):
        found = client.images.get(tag)
        labels: Mapping[str, str] = found.labels
        size = int(found.attrs.get("Size") or 0)
        with saved.open("wb") as stream:
            for part in found.save(chunk_size=CHUNK):
                stream.write(part)
                saving(done := done + len(part), max(size, done))
    created = labels.get(CREATED, "")
    try:
        newest_s = int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        raise InputError(
            f"{tag}: expected the time of its sources in the label {CREATED}, found {created!r}; "
            f"run `make build-{_name(tag)}`"
        ) from None
    return repack(saved, scratch, changes, newest_s, without, _stage(step, 1)), labels


def _name(tag: str) -> str:
    """Return the name in a tag ``cytosuite/<name>:<version>``."""
    return tag.rpartition("/")[2].partition(":")[0]


def _stage(step: Step, number: int) -> Callable[[int, int], None]:
    """Return a function of the bytes done and in all that shows a stage as a part of the whole."""

    def show(done: int, total: int) -> None:
        """Show how far the stage is."""
        step(round(100 * (number + done / max(total, 1))), 100 * len(STAGES), STAGES[number])

    return show


def _pack_models(
    name: str, cards: Sequence[ModelCard], weights: Path, folder: Path, place: str
) -> dict[str, Any]:
    """Write the tarball of the models, and return its record with the cards; empty without any."""
    if not cards:
        return {}
    path = folder / f"{name}-model.tar.gz"
    files = [file for file in visible_files(weights) if file.suffix in {".json", ".safetensors"}]
    write_tarball(path, by_name(files, weights))
    named = {card.name: {"version": card.version, "sha256": card.sha256} for card in cards}
    return _about(path) | {"place": place, "cards": named}


def _limits(manifest: AlgorithmManifest) -> dict[str, Any]:
    """Return the resources to ask the platform for, with the memory that it keeps for itself."""
    needs = manifest.resources
    asked = needs.memory_gib + RESERVED_GIB
    return {"memory_gib": needs.memory_gib, "ask_for_gib": asked, "gpu": needs.gpu}


def _sockets(manifest: AlgorithmManifest) -> dict[str, list[dict[str, Any]]]:
    """Return the sockets that an organiser declares for the algorithm."""

    def about(socket: Socket) -> dict[str, Any]:
        """Return slug, kind and place of a socket."""
        kind = "Anything" if socket.kind == "json" else "Image"
        place = {"slug": socket.slug, "kind": kind, "relative_path": socket.relative_path}
        return place | ({"optional": True} if socket.optional else {})

    task = TASKS[manifest.task]
    return {"inputs": [about(s) for s in task.inputs], "outputs": [about(s) for s in task.outputs]}


def _sizes(image: Repacked) -> dict[str, Any]:
    """Return the bytes and layers of an unpacked image."""
    return {
        "unpacked_bytes": sum(layer.bytes for layer in image.layers),
        "layers": [f"sha256:{layer.digest}" for layer in image.layers],
    }


def _about(path: Path) -> dict[str, Any]:
    """Return name, size and digest of a file."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def _record(path: Path, record: Mapping[str, Any]) -> None:
    """Add the record of an export to those of other algorithms, with the ids of earlier ones."""
    known = read_json(path) if path.is_file() else {}
    if not isinstance(known, dict):
        raise InputError(f"{path}: expected the record of exports, found something else; move it")
    before = known.get(record["algorithm"], {})
    ids = [*before.get("earlier", []), before.get("image", {}).get("id")]
    earlier = [each for each in dict.fromkeys(ids) if each and each != record["image"]["id"]]
    write_json(path, known | {record["algorithm"]: {**record, "earlier": earlier}})
