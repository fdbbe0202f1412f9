"""Export an algorithm for a challenge platform: image, models, contents, and their record."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from cytosuite.benchmark.containers.build import SOURCE_LABEL
from cytosuite.benchmark.containers.context import by_name, write_tarball
from cytosuite.benchmark.containers.daemon import Client, daemon_errors
from cytosuite.benchmark.engines.guest import API_LABEL
from cytosuite.benchmark.engines.outcome import Api
from cytosuite.benchmark.submission.checks.archive import read_archive
from cytosuite.benchmark.submission.profiles import RESERVED_GIB
from cytosuite.benchmark.submission.rehearsal import rehearsed
from cytosuite.benchmark.submission.repack import Repacked, pack_image, repack
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard
from cytosuite.contract.select import partakers
from cytosuite.contract.tasks import TASKS, Socket
from cytosuite.contract.weights import USES, open_model, read_cards
from cytosuite.errors import InputError, plain
from cytosuite.files import file_digest, read_json, visible_files, work_folder, write_json
from cytosuite.files.working import alone, full_disk

PYTHON = re.compile(r".*\.dist-info/METADATA")
DEBIAN = re.compile(r"/var/lib/dpkg/(status|status\.d/[^/]+)")
COPYRIGHT = re.compile(r"/usr/share/doc/([^/]+)/copyright")
WHEELS = re.compile(r"/opt/python/wheels\.txt")
NAME = r"[A-Za-z0-9][\w.+/-]*"
LICENCE = re.compile(
    rf"^License:[ \t]*({NAME}(?:,? (?:and|or|and/or|with) [\w.+/ -]+)?)[ \t]*$", re.MULTILINE
)
COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])")
CLASSIFIER = "License :: OSI Approved :: "
UNKNOWN = "not stated"
LONGEST = 80  # letters of a licence's name
RECORD = "export.json"
EXPORTED = "cytosuite-export"  # repository of the tags in archives
MODELS = "/opt/app/model"  # in our images
CREATED, REVISION = (f"org.opencontainers.image.{key}" for key in ("created", "revision"))
CHUNK = 2**21
STAGES = ("saving", "normalising", "packing")
Step: TypeAlias = Callable[[int, int, str], None]  # percent done, in all, stage


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package in an image."""

    kind: str  # ``pypi`` or ``deb``
    name: str
    version: str
    licences: tuple[str, ...]  # all that the package states
    expression: bool = False  # the one licence is an SPDX expression
    sha256: str = ""  # of the wheel it was installed from, if recorded


def contents(archive: Path) -> list[Package]:
    """Return the packages in an image archive, sorted; InputError if it is none."""
    wanted = (PYTHON, DEBIAN, COPYRIGHT, WHEELS)
    found = read_archive(archive, lambda path: any(rule.fullmatch(path) for rule in wanted)).files()
    return sorted({*_python(found), *_debian(found)})


def licences(packages: Sequence[Package]) -> dict[str, int]:
    """Return how many of Python's packages state each licence, the most frequent first."""
    ours = (package for package in packages if package.kind == "pypi")
    names = (name for package in ours for name in package.licences or (UNKNOWN,))
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def write_contents(
    path: Path,
    manifest: AlgorithmManifest,
    identity: str,
    packages: Sequence[Package],
    cards: Sequence[ModelCard],
) -> None:
    """Write the bill of materials of an image, CycloneDX 1.6 (ECMA-424) in JSON."""
    image = {
        "type": "container",
        "bom-ref": f"image:{identity}",
        "name": f"cytosuite/{manifest.name}",
        "version": manifest.version,
        "licenses": [{"license": {"id": manifest.license}}],
        **_hashes(identity),
    }
    write_json(
        path,
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_OID, identity)}",
            "version": 1,
            "metadata": {"component": image},
            "components": [*map(_component, packages), *map(_model, cards)],
        },
    )


def _component(package: Package) -> dict[str, Any]:
    place = "deb/debian" if package.kind == "deb" else package.kind
    link = f"pkg:{place}/{package.name}@{package.version.replace('+', '%2B')}"
    known: dict[str, Any] = {"type": "library", "bom-ref": link, "purl": link}
    known |= {"name": package.name, "version": package.version}
    if package.expression:
        known["licenses"] = [{"expression": package.licences[0]}]
    elif package.licences:
        known["licenses"] = [{"license": {"name": name}} for name in package.licences]
    return known | _hashes(package.sha256)


def _model(card: ModelCard) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{card.name}@{card.version}",
        "name": card.name,
        "version": card.version,
        "description": card.description,
        "licenses": [{"license": {"name": card.license}}],
        **_hashes(card.sha256),
    }


def _hashes(sha256: str | None) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}


def _python(files: Mapping[str, bytes]) -> Iterator[Package]:
    """Yield Python's packages, as their metadata describe them."""
    wheels = _wheels(files)
    for path in filter(PYTHON.fullmatch, files):
        about = HeaderParser().parsestr(_text(files[path]))
        name = re.sub(r"[-_.]+", "-", about.get("Name", "")).lower()
        version = about.get("Version", "")
        expression = about.get("License-Expression", "")
        approved = [
            line.removeprefix(CLASSIFIER)
            for line in about.get_all("Classifier", [])
            if line.startswith(CLASSIFIER)
        ]
        stated = about.get("License", "").strip()
        # A whole licence as text is no name of one.
        short = [stated] if stated and len(stated) <= LONGEST and "\n" not in stated else []
        found = tuple(plain(text) for text in ([expression] if expression else approved or short))
        digest = wheels.get((name, version), "")
        yield Package("pypi", name, version, found, bool(expression), digest)


def _debian(files: Mapping[str, bytes]) -> Iterator[Package]:
    """Yield Debian's packages that are installed, with the licences of their copyright files."""
    texts = {found[1]: _text(files[path]) for path in files if (found := COPYRIGHT.fullmatch(path))}
    for path in filter(DEBIAN.fullmatch, files):
        for block in _text(files[path]).split("\n\n"):
            about = HeaderParser().parsestr(block.strip())
            name, version = about.get("Package", ""), about.get("Version", "")
            if not name or not about.get("Status", "installed").endswith("installed"):
                continue
            text = texts.get(name, "")
            stated = LICENCE.findall(text) or COMMON.findall(text)  # an older form names files
            yield Package("deb", name, version, tuple(sorted({each.strip() for each in stated})))


def _wheels(files: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    """Return the digests of the wheels that an image was made of, by name and version."""
    found = {}
    for path in filter(WHEELS.fullmatch, files):
        for line in _text(files[path]).splitlines():
            digest, _, file = line.partition("  ")
            name, _, rest = file.replace("%2B", "+").partition("-")
            found[re.sub(r"[-_.]+", "-", name).lower(), rest.partition("-")[0]] = digest
    return found


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An algorithm to hand in."""

    manifest: AlgorithmManifest
    tag: str
    api: Api = "invoke"  # interface that the exported image announces and serves
    models: Literal["inside", "apart"] = "inside"  # apart: in the tarball alone, not in the image


def export(
    client: Client, wanted: Wanted, root: Path, folder: Path, step: Step = lambda *_: None
) -> dict[str, Any]:
    """Write the files to upload for an algorithm, and return their record; or InputError."""
    manifest, weights = wanted.manifest, root / "weights" / wanted.manifest.name
    task = TASKS[manifest.task]
    cards = read_cards(weights, manifest.name)
    partakers(cards, manifest.select)  # else each image fails on the platform
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
        "image": _about(path)
        | {
            "id": f"sha256:{image.id}",
            "unpacked_bytes": sum(layer.bytes for layer in image.layers),
            "layers": [f"sha256:{layer.digest}" for layer in image.layers],
        },
        "models": _pack_models(manifest.name, cards, weights, folder, wanted.models),
        "limits": {
            "memory_gib": manifest.resources.memory_gib,
            "ask_for_gib": manifest.resources.memory_gib + RESERVED_GIB,
            "gpu": manifest.resources.gpu,
        },
        "inputs": [_socket(socket) for socket in task.inputs],
        "outputs": [_socket(socket) for socket in task.outputs if not socket.course],
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
    """Write ``<name>_<id>.tar.gz``; return the path, its image and labels, or InputError."""
    name = _name(tag)
    with alone(folder), full_disk(folder), work_folder(folder) as scratch:
        saved = scratch / "saved.tar"
        labels, newest_s = _saved(client, tag, saved, step)
        image = repack(saved, saved.parent, changes, newest_s, without, _stage(step, 1))
        path = folder / f"{name}_{image.id[:12]}.tar.gz"
        if not path.is_file():
            # Not the tag of the build: loading an export must not take its place.
            pack_image(image, path, f"{EXPORTED}/{name}:{image.id[:12]}", _stage(step, 2))
    return path, image, labels


def _saved(client: Client, tag: str, saved: Path, step: Step) -> tuple[Mapping[str, str], int]:
    """Save an image, and return its labels and the time of its sources [s]."""
    saving, done = _stage(step, 0), 0
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
        return labels, int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        raise InputError(
            f"{tag}: expected the time of its sources in the label {CREATED}, found {created!r}; "
            f"run `make build-{_name(tag)}`"
        ) from None


def _name(tag: str) -> str:
    return tag.rpartition("/")[2].partition(":")[0]


def _stage(step: Step, number: int) -> Callable[[int, int], None]:
    """Return a function of the bytes done and in all that shows a stage as a part of the whole."""

    def show(done: int, total: int) -> None:
        step(round(100 * (number + done / max(total, 1))), 100 * len(STAGES), STAGES[number])

    return show


def _pack_models(
    name: str, cards: Sequence[ModelCard], weights: Path, folder: Path, place: str
) -> dict[str, Any]:
    """Write the tarball of the models, and return its record with the cards; empty without any."""
    if not cards:
        return {}
    path = folder / f"{name}-model.tar.gz"
    suffixes = {".json", ".safetensors"}
    files = [f for f in visible_files(weights) if f.suffix in suffixes or f.name == USES]
    write_tarball(path, by_name(files, weights))
    named = {card.name: {"version": card.version, "sha256": card.sha256} for card in cards}
    return _about(path) | {"place": place, "cards": named}


def _socket(socket: Socket) -> dict[str, Any]:
    place = {"slug": socket.slug, "kind": socket.platform_kind}
    place["relative_path"] = socket.relative_path
    return place | ({"optional": True} if socket.optional else {})


def _about(path: Path) -> dict[str, Any]:
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
