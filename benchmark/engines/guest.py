"""Containers that others built, as algorithms of a run: name, api, sockets, and hints on failures.

A guest is an image alone: there is no folder, manifest or model card of it here.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field

from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.errors import InputError, plain
from cytosuite.files import file_digest, value_digest
from cytosuite.manifest import AlgorithmManifest, Described, Resources
from cytosuite.tasks import Socket, Task

Format: TypeAlias = Literal["tif", "mha"]
API_LABEL = "org.grand-challenge.api-method"
APIS: Mapping[str, Api] = {name: name for name in get_args(Api)}  # as labels say them
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
OCI = "org.opencontainers.image."
SHORT = 19  # characters of an image's id for readers: sha256: and twelve digits
# The platform gives the defaults of a program neither a writable home nor root; see `hint`.
READ_ONLY = re.compile(r"read-only file system", re.IGNORECASE)
DENIED = re.compile(r"permission denied|operation not permitted|not permitted", re.IGNORECASE)
ROOTS = {"", "0", "root"}


def _inside(path: str) -> str:
    """Refuse a path that leaves the folder of inputs or outputs."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or str(pure) in {".", "inputs.json"}:
        raise ValueError("must be a path below /input or /output, like images/<name>")
    return str(pure)


class Place(Described):
    """Slug, path and format that a container expects of one socket."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] = Field(
        description="Name of the socket in inputs.json."
    )
    path: Annotated[str, AfterValidator(_inside)] | None = Field(
        None, description="Folder or JSON file below /input or /output; images/<slug> without it."
    )
    format: Format | None = Field(None, description="Of an input image: tif or mha.")


class SocketMapping(Described):
    """Sockets of a container by our slugs; without inputs it gets all of ours, by our names."""

    inputs: dict[str, Place] | None = Field(None, description="All that the container is given.")
    outputs: dict[str, Place] = Field({}, description="Those that it calls otherwise.")

    def fits(self, task: Task) -> None:
        """Refuse slugs that the task does not have, and two sockets at one place.

        Raises
        ------
        InputError
            With the slugs of the task.
        """
        for noun, given, sockets in (
            ("inputs", self.inputs or {}, task.inputs),
            ("outputs", self.outputs, task.outputs),
        ):
            known = {socket.slug: socket for socket in sockets}
            for slug in given:
                if slug not in known:
                    raise InputError(
                        f"sockets: {noun}.{slug} is no socket of the task {task.name}; expected "
                        f"{', '.join(known)}"
                    )
            places = [place_of(known[slug], own)[1] for slug, own in given.items()]
            if len(set(places)) < len(places):
                raise InputError(f"sockets: {noun} need different paths, found {sorted(places)}")


@dataclass(frozen=True, slots=True)
class Guest:
    """A container image that others built.

    Parameters
    ----------
    name : str
        Of the algorithm in this run.
    word : str
        The image's tag or file, as the user gives it.
    image : str
        Its id.
    api : str
        ``exec`` or ``invoke``.
    task : Task
        Of the run.
    mapping : SocketMapping
        Its names of the sockets.
    format : str
        Of the input images, where the mapping does not say.
    user : str
        ``USER`` of the image, empty without.
    models : Path or None
        Tarball that the platform unpacks into ``/opt/ml/model``.
    """

    name: str
    word: str
    image: str
    api: Api
    task: Task
    mapping: SocketMapping = field(default_factory=SocketMapping)
    format: Format = "tif"
    user: str = ""
    models: Path | None = None

    @property
    def identity(self) -> str:
        """Digest of all that decides its outputs: image, sockets, format, models."""
        sockets = self.mapping.model_dump(mode="json")
        models = f", models {file_digest(self.models)}" if self.models else ""
        return f"{self.image}, sockets {value_digest([sockets, self.format])}{models}"

    def start_hint(self, message: str) -> str:
        """Return the message of a failed start with the address that a server must listen on."""
        return f"{self.hint(message)} (expected a server on 127.0.0.1:4743; API=exec needs none)"

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


def is_guest(word: str) -> bool:
    """Return whether a word of the user means an image of others, not a folder of ours.

    Examples
    --------
    >>> [is_guest(word) for word in ("watershed", "team:v1", "host/team", "team.tar.gz")]
    [False, True, True, True]
    """
    return "/" in word or ":" in word or word.endswith(ARCHIVES)


def guest_names(words: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Return a name for each image: its last words, with a digest of all where that is taken.

    Parameters
    ----------
    words : collection of str
        Tags and files.
    taken : collection of str
        Names of algorithms and controls.

    Examples
    --------
    >>> guest_names(["host:5000/lab/Net-2:v1", "old/u.tar.gz", "lab/net:latest"], ["blank"])
    {'host:5000/lab/Net-2:v1': 'net_2_v1', 'old/u.tar.gz': 'u', 'lab/net:latest': 'net'}
    """
    short = {word: _short_name(word) for word in words}
    names = list(short.values())
    return {
        word: f"{name}_{sha256(word.encode()).hexdigest()[:6]}"
        if name in taken or names.count(name) > 1
        else name
        for word, name in short.items()
    }


def api_of(labels: Mapping[str, str], word: str) -> Api:
    """Return the api that the label of an image names; without it the platform takes ``exec``.

    Raises
    ------
    InputError
        At another value, which the platform refuses.
    """
    read = {key.strip().lower(): value for key, value in labels.items()}
    value = read.get(API_LABEL, "exec")
    api = APIS.get(value.strip().strip("\"'").lower())
    if api is None:
        raise InputError(
            f"{word}: its label {API_LABEL} must be exec or invoke, found {value!r}; give API=exec "
            "or API=invoke"
        )
    return api


def guest_manifest(guest: Guest, labels: Mapping[str, str]) -> AlgorithmManifest:
    """Return the manifest of a guest by its labels, in short and plain lines.

    Its version may be any text, for readers alone; without one it is the beginning of the id.
    """
    said = {
        key: plain(labels.get(OCI + key, ""), 100) for key in ("version", "authors", "licenses")
    }
    return AlgorithmManifest.model_construct(
        name=guest.name,
        version=said["version"] or guest.image[:SHORT],
        title=plain(Path(guest.word).name if guest.word.endswith(ARCHIVES) else guest.word, 200),
        description=f"A container that others built, {guest.image[:SHORT]}.",
        task=guest.task.name,
        authors=(said["authors"],) if said["authors"] else (),
        license=said["licenses"],
        resources=Resources(memory_gib=Limits().memory_gib),
    )


def place_of(socket: Socket, own: Place | None) -> tuple[str, str]:
    """Return slug and path of a socket for a container, our own where it names none."""
    if own is None:
        return socket.slug, socket.relative_path
    default = f"{own.slug}.json" if socket.kind == "json" else f"images/{own.slug}"
    return own.slug, own.path or default


def user_of(attributes: Mapping[str, Any]) -> str:
    """Return ``USER`` of an image, empty without, from the daemon's description of it."""
    return str((attributes.get("Config") or {}).get("User") or "")


def _short_name(word: str) -> str:
    """Return the last words of a tag or file as a name of an algorithm."""
    last = word.rpartition("/")[2].partition("@")[0]
    for suffix in sorted(ARCHIVES, key=len, reverse=True):
        last = last.removesuffix(suffix)
    name = re.sub(r"[^a-z0-9]+", "_", last.removesuffix(":latest").lower()).strip("_")
    return name if name[:1].isalpha() else f"image_{name}".rstrip("_")
