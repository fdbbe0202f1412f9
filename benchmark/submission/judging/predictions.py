"""Jobs of a submission: ``predictions.json``, by which outputs are found and matched to cases."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError, at, plain
from cytosuite.files import read_json
from cytosuite.interface import socket_place

SUCCEEDED = "Succeeded"
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)  # of a job: one folder
SHOWN = 3  # names in a message


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A job of an algorithm on one case.

    Parameters
    ----------
    pk : str
        Its key, which names the folder of its outputs.
    status : str
        As the platform words it; ``Succeeded`` where it says nothing.
    images : tuple of str
        Names under which its input images were uploaded.
    places : mapping of str to str
        Relative path of each listed output by the slug of its socket.
    """

    pk: str
    status: str
    images: tuple[str, ...]
    places: Mapping[str, str]


def read_predictions(path: Path) -> list[SubmittedJob]:
    """Return the jobs in a ``predictions.json``.

    Parameters
    ----------
    path : Path
        A list with an object for each job: ``pk``, ``inputs`` with ``image.name``, ``outputs`` with
        ``interface`` or ``socket``, ``status``. Of these `pk` is needed; other keys are ignored.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or larger than 64 MiB; if a job has no key that can name a
        folder, or one key names two jobs; if a value is of another kind, or a path leaves its
        folder.
    """
    jobs = read_json(path)
    if not isinstance(jobs, list):
        raise InputError(f"{path}: expected a list of jobs, found {_short(jobs)}")
    found: dict[str, SubmittedJob] = {}
    with at(path):
        for number, job in enumerate(jobs):
            one = _job(f"job {number}", job)
            if one.pk in found:
                raise InputError(f"two jobs have the pk {one.pk}; expected one job each")
            found[one.pk] = one
    return list(found.values())


def by_case(
    predictions: Sequence[SubmittedJob], images: Mapping[str, str], path: Path
) -> dict[str, SubmittedJob]:
    """Return the job of each case; cases without one are left out.

    Parameters
    ----------
    predictions : sequence of SubmittedJob
        In any order.
    images : mapping of str to str
        Name of the uploaded images by case.
    path : Path
        Of the list, for messages.

    Raises
    ------
    InputError
        If a job belongs to no case or to several, or a case has two jobs.
    """
    cases = {image: case for case, image in images.items()}
    known = f"names in the ground truth: {_listed(list(cases))}"
    found: dict[str, SubmittedJob] = {}
    for one in predictions:
        own = sorted({cases[name] for name in one.images if name in cases})
        if len(own) != 1:
            given = _listed(one.images) if one.images else "no inputs[*].image.name"
            raise InputError(
                f"{path}: job {one.pk}: expected the input image of one case, found {given}; "
                f"{known}; upload the images under these names"
            )
        other = found.setdefault(own[0], one)
        if other is not one:
            raise InputError(
                f"{path}: two jobs have the input image {images[own[0]]}: {other.pk} and {one.pk}; "
                "expected one job per case"
            )
    return found


def _job(where: str, job: object) -> SubmittedJob:
    """Return a job after a check of all that is used of it."""
    if not isinstance(job, dict):
        raise InputError(f"{where}: expected an object, found {_short(job)}")
    pk, status = job.get("pk"), job.get("status")
    if not isinstance(pk, str) or not KEY.fullmatch(pk):
        raise InputError(
            f"{where}: expected a pk of letters, digits and hyphens, found {_short(pk)}"
        )
    named = [entry.get("image") for entry in _entries(where, job, "inputs")]
    images = [image.get("name") for image in named if isinstance(image, dict)]
    names = (unicodedata.normalize("NFC", name) for name in images if isinstance(name, str))
    places = {}
    for entry in _entries(where, job, "outputs"):
        if {"interface", "socket"} & set(entry):
            place = socket_place(f"{where}: outputs", entry)
            if place["slug"] in places:
                raise InputError(f"{where}: outputs: two entries of {_short(place['slug'])}")
            places[place["slug"]] = place.get("relative_path", "")
    given = SUCCEEDED if status is None else plain(str(status), 60)
    return SubmittedJob(pk, given, tuple(dict.fromkeys(names)), places)


def _entries(where: str, job: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Yield the socket values under a key of a job; none where it is absent or null."""
    entries = job.get(key)
    for entry in [] if entries is None else entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise InputError(f"{where}: {key}: expected a list of objects, found {_short(entry)}")
        yield entry


def _listed(names: Sequence[str]) -> str:
    """Return the first of some names."""
    more = f", ... ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(plain(name, 80) for name in names[:SHOWN]) + more


def _short(value: object) -> str:
    """Return the beginning of a value for a message."""
    return plain(repr(value)[:200], 60)
