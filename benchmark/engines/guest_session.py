"""Cases for a container that others built: its sockets and formats, and its outputs as ours."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cytosuite.benchmark.containers.daemon import explained
from cytosuite.benchmark.engines.guest import Guest, place_of
from cytosuite.benchmark.engines.outcome import Outcome, Session, Shown, StartError
from cytosuite.errors import plain
from cytosuite.files import link, read_json, write_json
from cytosuite.formats import read, write
from cytosuite.imagefiles import image_files
from cytosuite.volume import Volume

LISTED = 5  # files of an output that is not where it should be, in a message
RECORD = "record.json"  # images made of ours write it


@dataclass
class GuestSession:
    """A session that gives cases as the platform does, and takes the outputs by their slugs.

    Parameters
    ----------
    inner : Session
        Runs the container.
    guest : Guest
        Its sockets.
    folder : Path
        For the inputs of one case, beside what the container sees.
    """

    inner: Session
    guest: Guest
    folder: Path

    @property
    def startup_seconds(self) -> float:
        """Time until the container was ready [s]."""
        return self.inner.startup_seconds

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case; see `cytosuite.benchmark.engines.outcome.Session`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        write_guest_case(self.folder, case_input, self.guest)
        with start_errors(self.guest):
            outcome = self.inner.predict(self.folder, output, log, shown)
        shutil.rmtree(self.folder)
        if outcome.status == "ok":
            return _taken(outcome, output, self.guest)
        return replace(outcome, message=self.guest.hint(outcome.message))


@contextmanager
def start_errors(guest: Guest | None) -> Iterator[None]:
    """Add a hint to the failed start of a guest; one that the daemon refuses is a failed start.

    Parameters
    ----------
    guest : Guest or None
        Without one errors pass as they are.

    Raises
    ------
    StartError
        For a guest in place of an error of the daemon, which is about its image alone.
    """
    from docker.errors import APIError

    try:
        yield
    except StartError as error:
        raise StartError(guest.start_hint(str(error)) if guest else str(error)) from None
    except APIError as error:
        if guest is None:
            raise
        reason = explained(error.explanation or str(error))
        raise StartError(f"{guest.name} did not start: {reason}") from None


def write_guest_case(folder: Path, case_input: Path, guest: Guest) -> None:
    """Write the inputs of a case as the platform gives them to a container.

    Parameters
    ----------
    folder : Path
        A new folder; images that keep their format are links.
    case_input : Path
        The case as `cytosuite.interface.write_case` writes it.
    guest : Guest
        Its sockets.

    Raises
    ------
    InputError
        If MetaImage is asked for and cannot hold an image.

    Notes
    -----
    Files have a random-looking name, which is the same in every run; ``image.name`` in
    ``inputs.json`` is the only place of the original name. MetaImages hold the voxel size, but no
    metadata: the platform drops them.
    """
    sockets = {socket.slug: socket for socket in guest.task.inputs}
    wanted = guest.mapping.inputs
    entries = []
    for number, entry in enumerate(read_json(case_input / "inputs.json"), start=1):
        socket = sockets[entry["interface"]["slug"]]
        if wanted is not None and socket.slug not in wanted:
            continue
        own = (wanted or {}).get(socket.slug)
        slug, path = place_of(socket, own)
        image = entry["image"]
        if socket.kind == "json":
            write_json(folder / path, entry["value"])
        else:
            (source,) = image_files(case_input / socket.relative_path)
            key = str(uuid5(NAMESPACE_URL, f"{socket.slug}/{source.name}"))
            image = {"pk": key, "name": image["name"]}
            _give_image(source, folder / path / key, (own and own.format) or guest.format)
        entries.append(_entry(number, entry, {"slug": slug, "relative_path": path}, image))
    write_json(folder / "inputs.json", sorted(entries, key=lambda e: str(e["interface"]["slug"])))


def _give_image(source: Path, stem: Path, kind: str) -> None:
    """Put an image at a place in the wanted format."""
    target = stem.with_name(f"{stem.name}.{kind}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "tif" and source.suffix == ".tif":
        link(target, source)
        return
    volume = read(source)
    write(target, Volume(volume.array, volume.spacing, volume.axes))


def _entry(
    number: int, entry: Mapping[str, Any], place: Mapping[str, str], image: object
) -> dict[str, Any]:
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


def _taken(outcome: Outcome, output: Path, guest: Guest) -> Outcome:
    """Move the outputs of a container to the places of our sockets; all others are dropped."""
    places = {s: place_of(s, guest.mapping.outputs.get(s.slug))[1] for s in guest.task.outputs}
    found = {path.relative_to(output).as_posix(): path for path in sorted(output.rglob("*"))}
    files = [name for name, path in found.items() if path.is_file() and name != RECORD]
    for socket, place in places.items():
        if place not in found and not socket.optional:
            seen = ", ".join(files[:LISTED]) or "nothing"
            message = f"expected /output/{place}, found {seen}; SOCKETS=<file.toml> maps the names"
            return replace(outcome, status="missing output", message=plain(message))
    moves = {place: socket.relative_path for socket, place in places.items()} | {RECORD: RECORD}
    with TemporaryDirectory(dir=output.parent) as spare:
        theirs = output.rename(Path(spare) / "output")
        output.mkdir()
        for place, target in moves.items():
            if place in found:
                (output / target).parent.mkdir(parents=True, exist_ok=True)
                (theirs / place).rename(output / target)
    return outcome
