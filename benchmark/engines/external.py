"""Container images that others built, as algorithms: names, sockets, cases, hints on failures."""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, get_args
from uuid import NAMESPACE_URL, uuid5

from pydantic import AfterValidator, Field

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import program_of
from cytosuite.benchmark.engines.images.daemon import explained
from cytosuite.benchmark.engines.outcome import Limits, Outcome, Session, Shown, StartError
from cytosuite.contract.manifest import AlgorithmManifest, Described, Resources
from cytosuite.contract.tasks import Socket, Task
from cytosuite.contract.words import Api, Format
from cytosuite.errors import InputError, plain
from cytosuite.files import (
    Entries,
    Json,
    TextDict,
    TextMap,
    TextPair,
    file_digest,
    frozen,
    link,
    read_json,
    value_digest,
    write_json,
)
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import image_files
from cytosuite.volume import Volume

API_LABEL = "org.grand-challenge.api-method"
APIS: Mapping[str, Api] = {name: name for name in get_args(Api)}  # as labels say them
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
OCI = "org.opencontainers.image."
SHORT = 19  # characters of an image's id for readers: sha256: and twelve digits
# The platform gives the defaults of a program neither a writable home nor root; see `hint`.
READ_ONLY = re.compile(r"read-only file system", re.IGNORECASE)
DENIED = re.compile(r"permission denied|operation not permitted|not permitted", re.IGNORECASE)
ROOTS = {"", "0", "root"}
LISTED = 5  # files of an output that is not where it should be, in a message
RECORD = "record.json"  # images made of ours write it


def _inside(path: str) -> str:
    """Refuse a path that leaves the folder of inputs or outputs."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or str(pure) in {".", "inputs.json"}:
        raise ValueError("must be a path below /input or /output, like images/<name>")
    return str(pure)


class Place(Described):
    """Slug, path and format that a container expects of one socket."""

    # name of the socket in inputs.json
    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    # folder or JSON file below /input or /output; images/<slug> without it
    path: Annotated[str, AfterValidator(_inside)] | None = None
    format: Format | None = None  # of an input image: tif or mha


class SocketMapping(Described):
    """Sockets of a container by our slugs; without inputs it gets all of ours, by our names."""

    inputs: dict[str, Place] | None = None  # all that the container is given
    outputs: dict[str, Place] = Field({})  # those that it calls otherwise

    def fits(self, task: Task) -> None:
        """Refuse slugs that the task does not have, and two sockets at one path."""
        for noun, mapping, sockets in (
            ("inputs", self.inputs or {}, task.inputs),
            ("outputs", self.outputs, task.outputs),
        ):
            ours = {socket.slug: socket for socket in sockets}
            for slug in mapping:
                if slug not in ours:
                    raise InputError(
                        f"sockets: {noun}.{slug} is no socket of the task {task.name}; expected "
                        f"{', '.join(ours)}"
                    )
            places = [place_of(ours[slug], place)[1] for slug, place in mapping.items()]
            if len(set(places)) < len(places):
                raise InputError(f"sockets: {noun} need different paths, found {sorted(places)}")


@frozen
class ExternalImage:
    """A container image that others built."""

    name: str  # of the algorithm in this run
    word: str  # the image's tag or file, as the user gives it
    image: str  # its id
    api: Api  # ``exec`` or ``invoke``
    task: Task  # of the run
    mapping: SocketMapping = field(default_factory=SocketMapping)  # its names of the sockets
    format: Format = "tif"  # of the input images, where the mapping does not say
    user: str = ""  # ``USER`` of the image, empty without
    models: Path | None = None  # tarball that the platform unpacks into ``/opt/ml/model``

    @property
    def identity(self) -> str:
        """Digest of all that decides its outputs: image, sockets, format, models."""
        sockets = self.mapping.model_dump(mode="json")
        models = f", models {file_digest(self.models)}" if self.models else ""
        return f"{self.image}, sockets {value_digest([sockets, self.format])}{models}"

    @property
    def origin(self) -> str:
        """Its source for readers."""
        return f"{self.word}, image {self.image}"

    def hint(self, message: str) -> str:
        """Return the message of a failure with the cause that isolation suggests, if any."""
        if READ_ONLY.search(message):
            return f"{message} (only /output and /tmp can be written to)"
        if self.user.partition(":")[0] in ROOTS and DENIED.search(message):
            return (
                f"{message} (the image has no USER other than root, which the platform refuses, "
                "and ran as another user here)"
            )
        return message


def is_external(word: str) -> bool:
    """Return whether a word of the user means an image of others, not an algorithm of ours."""
    return ("/" in word or ":" in word or is_archive(word)) and program_of(word) not in algorithms()


def is_archive(word: str) -> bool:
    """Return whether a word of the user means a file of an image, not its tag."""
    return word.lower().endswith(ARCHIVES) or ("." in word and Path(word).is_file())


def external_names(words: Collection[str], taken: Collection[str]) -> TextDict:
    """Return a name for each image: its last words, with a digest if that is taken."""
    short = {}
    for word in words:
        last = word.lower().rpartition("/")[2].partition("@")[0]
        for suffix in sorted(ARCHIVES, key=len, reverse=True):
            last = last.removesuffix(suffix)
        name = re.sub(r"[^a-z0-9]+", "_", last.removesuffix(":latest")).strip("_")
        short[word] = name if name[:1].isalpha() else f"image_{name}".rstrip("_")
    names = list(short.values())
    return {
        word: f"{name}_{sha256(word.encode()).hexdigest()[:6]}"
        if name in taken or names.count(name) > 1
        else name
        for word, name in short.items()
    }


def api_of(labels: TextMap, word: str) -> Api:
    """Return the api that an image's label names, ``exec`` without a label; else InputError."""
    value = {key.strip().lower(): value for key, value in labels.items()}.get(API_LABEL, "exec")
    api = APIS.get(value.strip().strip("\"'").lower())
    if api is None:
        raise InputError(
            f"{word}: its label {API_LABEL} must be exec or invoke, found {value!r}; give API=exec "
            "or API=invoke"
        )
    return api


def external_manifest(external: ExternalImage, labels: TextMap) -> AlgorithmManifest:
    """Return the manifest of an image by its labels, in short plain lines."""
    said = {
        key: plain(labels.get(OCI + key, ""), 100) for key in ("version", "authors", "licenses")
    }
    return AlgorithmManifest.model_construct(
        name=external.name,
        version=said["version"] or external.image[:SHORT],
        title=plain(Path(external.word).name if is_archive(external.word) else external.word, 200),
        description=f"A container that others built, {external.image[:SHORT]}.",
        task=external.task.name,
        authors=(said["authors"],) if said["authors"] else (),
        license=said["licenses"],
        resources=Resources(memory_gib=Limits().memory_gib),
    )


def place_of(socket: Socket, place: Place | None) -> TextPair:
    """Return slug and path of a socket for a container, our own where it names none."""
    if place is None:
        return socket.slug, socket.relative_path
    default = f"{place.slug}{socket.suffix}" if socket.is_file else f"images/{place.slug}"
    return place.slug, place.path or default


def user_of(attributes: Entries) -> str:
    """Return ``USER`` of an image, empty without, from the daemon's description of it."""
    return str((attributes.get("Config") or {}).get("User") or "")


@dataclass
class ExternalSession:
    """A session that gives cases as the platform does, and takes the outputs by their slugs."""

    inner: Session  # runs the container
    external: ExternalImage  # its sockets
    folder: Path  # for the inputs of one case, outside of the container

    @property
    def startup_seconds(self) -> float:
        """Time until the container was ready [s]."""
        return self.inner.startup_seconds

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case; see `cytosuite.benchmark.engines.outcome.Session`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        write_external_case(self.folder, case_input, self.external)
        with start_errors(self.external):
            outcome = self.inner.predict(self.folder, output, log, shown)
        shutil.rmtree(self.folder)
        if outcome.status == "ok":
            return _taken(outcome, output, self.external)
        return replace(outcome, message=self.external.hint(outcome.message))


@contextmanager
def start_errors(external: ExternalImage | None) -> Iterator[None]:
    """Add a hint to the failed start of an external image, and make a StartError of an APIError."""
    from docker.errors import APIError

    try:
        yield
    except StartError as error:
        if external is None:
            raise
        raise StartError(
            f"{external.hint(str(error))} (expected a server on 127.0.0.1:4743; API=exec needs "
            "none)"
        ) from None
    except APIError as error:
        if external is None:
            raise
        raise StartError(f"{external.name} did not start: {explained(error)}") from None


def write_external_case(folder: Path, case_input: Path, external: ExternalImage) -> None:
    """Write the inputs of a case as the platform does; random names are the same in each run."""
    sockets = {socket.slug: socket for socket in external.task.inputs}
    inputs = external.mapping.inputs
    entries = []
    for number, entry in enumerate(read_json(case_input / "inputs.json"), start=1):
        socket = sockets[entry["interface"]["slug"]]
        if inputs is not None and socket.slug not in inputs:
            continue
        place = (inputs or {}).get(socket.slug)
        slug, path = place_of(socket, place)
        image = entry["image"]
        if socket.is_file:
            write_json(folder / path, entry["value"])
        else:
            (source,) = image_files(case_input / socket.relative_path)
            key = str(uuid5(NAMESPACE_URL, f"{socket.slug}/{source.name}"))
            image = {"pk": key, "name": image["name"]}
            kind = (place and place.format) or external.format
            target = folder / path / f"{key}.{kind}"
            if kind == "tif" and source.suffix == ".tif":
                link(target, source)
            else:
                volume = read(source)
                write(target, Volume(volume.array, volume.spacing, volume.axes))
        entries.append(_entry(number, entry, {"slug": slug, "relative_path": path}, image))
    write_json(folder / "inputs.json", sorted(entries, key=lambda e: str(e["interface"]["slug"])))


def _entry(number: int, entry: Entries, place: TextMap, image: object) -> Json:
    """Return an entry of ``inputs.json`` with all keys that the platform writes."""
    socket = {
        "title": entry["interface"]["title"],
        "description": "",
        "kind": entry["interface"]["kind"],
        "pk": number,
        "default_value": None,
        "super_kind": entry["interface"]["super_kind"],
        "overlay_segments": [],
        "look_up_table": None,
        **place,
    }
    return {
        "interface": socket,
        "socket": socket,
        "value": entry["value"],
        "file": None,
        "image": image,
        "pk": number,
    }


def _taken(outcome: Outcome, output: Path, external: ExternalImage) -> Outcome:
    """Move the outputs of a container to the places of our sockets; all others are dropped."""
    places = {
        s: place_of(s, external.mapping.outputs.get(s.slug))[1] for s in external.task.outputs
    }
    written = {path.relative_to(output).as_posix(): path for path in sorted(output.rglob("*"))}
    files = [name for name, path in written.items() if path.is_file() and name != RECORD]
    for socket, place in places.items():
        if place not in written and not socket.optional:
            seen = ", ".join(files[:LISTED]) or "nothing"
            message = f"expected /output/{place}, found {seen}; SOCKETS=<file.toml> maps the names"
            return replace(outcome, status="missing output", message=plain(message))
    moves = {place: socket.relative_path for socket, place in places.items()} | {RECORD: RECORD}
    with TemporaryDirectory(dir=output.parent) as spare:
        theirs = output.rename(Path(spare) / "output")
        output.mkdir()
        for place, target in moves.items():
            if place in written:
                (output / target).parent.mkdir(parents=True, exist_ok=True)
                (theirs / place).rename(output / target)
    return outcome
