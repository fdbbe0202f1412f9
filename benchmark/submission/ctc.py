"""Segmentations of a run, or label images, in folders of the Cell Tracking Challenge."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.scores.facts import Movie, read_movie
from cytosuite.contract.tasks import TASKS, TRACKED, TRACKS, Task
from cytosuite.contract.tracks import LARGEST, Track
from cytosuite.errors import InputError, at
from cytosuite.files import Lists, Paths, TextSeq
from cytosuite.folders.entries import in_time
from cytosuite.formats import header, read
from cytosuite.metrics.tracks.lineage import ReadFrames
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Box

# Of a case that was read from a sequence, behind its dataset where there are several.
FRAME = re.compile(r"((?:.+-)?\d\d)_t(\d{3,})", re.ASCII)
TABLE = "sequences.csv"

Labels = Array


class Segmentation(NamedTuple):
    """A segmented case: the source of its labels, and whether it failed."""

    case: str
    labels: Callable[[], Labels]
    failed: bool = False


def segmentations(
    folder: Path, key: str, cases: Sequence[Case], task: Task
) -> Iterator[Segmentation]:
    """Yield an algorithm's segmentations in a complete run, empty ones of failed cases."""
    assert task.main_output is not None
    for case in cases:
        record = read_record(folder / case.name, key)
        assert record is not None  # the run has whole results
        if record.ok:
            path = folder / case.name / record.outputs[task.main_output.slug]
            yield Segmentation(case.name, partial(_pixels, path))
        else:
            yield Segmentation(case.name, partial(_nothing, case, task), failed=True)


def truths(cases: Sequence[Case]) -> list[Segmentation]:
    """Return the true labels of cases; those without are left out."""
    labels = TASKS["segment"].outputs[0].slug
    paths = {case.name: case.socket(labels) for case in cases}
    return [Segmentation(n, partial(_pixels, path)) for n, path in paths.items() if path]


def labelled(files: Paths, crop: Box = ()) -> list[Segmentation]:
    """Return the label images of some cases, cut to a part."""
    return [Segmentation(name, partial(_cut, path, crop)) for name, path in files.items()]


def sequences(names: TextSeq, *, series: bool = False) -> Lists:
    """Return the cases of each sequence by frame; InputError if one is missing or double."""
    if series:
        return {"01": in_time("--series", names)}
    plan = {name: [name] for name in names}
    if all(frames := [FRAME.fullmatch(name) for name in names]):
        places: dict[tuple[str, int], str] = {}
        for match in filter(None, frames):
            first = places.setdefault((match[1], int(match[2])), match[0])
            if first != match[0]:
                raise InputError(f"expected one case of each frame, found {first} and {match[0]}")
        plan = {}
        for (sequence, frame), name in sorted(places.items()):
            cases = plan.setdefault(sequence, [])
            if frame != len(cases):
                raise InputError(
                    f"sequence {sequence}: frame {len(cases)} is missing; expected all from 0 to "
                    f"{max(frame for other, frame in places if other == sequence)}"
                )
            cases.append(name)
        if all(name.isdecimal() for name in plan):
            return plan
    digits = max(2, len(str(len(names))))
    return {f"{number:0{digits}d}": cases for number, cases in enumerate(plan.values(), start=1)}


def tracks_of_labels(
    presence: Sequence[Sequence[int]], *, anew: bool = False
) -> tuple[list[dict[int, int]], list[Track]]:
    """Return new numbers of labels per frame, `anew` from 1 on; a later stretch has a parent.

    It is numbered after the largest label, then by gaps; InputError where 16 bits are too few.
    """
    last: dict[int, Track] = {}  # of each label of the frames
    done = []
    numbers = []
    used = set() if anew else set().union(*presence)
    top = max(used, default=0) + 1
    free = chain(range(top, LARGEST + 1), (n for n in range(1, top) if n not in used))
    for frame, labels in enumerate(presence):
        for label in labels:
            former = last.get(label)
            if former is not None and former.end == frame - 1:
                last[label] = replace(former, end=frame)
            elif former is None and not anew:
                last[label] = Track(label, frame, frame)
            else:
                if (number := next(free, None)) is None:
                    raise InputError(
                        f"expected at most {LARGEST} tracks, found more in frame {frame}"
                    )
                if former:
                    done.append(former)
                last[label] = Track(number, frame, frame, former.label if former else 0)
        numbers.append({n: last[n].label for n in labels if last[n].label != n})
    return numbers, sorted([*done, *last.values()], key=lambda track: track.label)


def write_ctc(
    folder: Path,
    frames: Sequence[Segmentation],
    plan: Mapping[str, TextSeq],
    *,
    truth: bool = False,
    anew: bool = False,
) -> list[str]:
    """Write sequences of labels, numbered `anew`, and return remarks; InputError over `LARGEST`."""
    by_case = {frame.case: frame for frame in frames}
    digits = max(3, len(str(max(map(len, plan.values()), default=1) - 1)))
    remarks = []
    for name, cases in plan.items():
        segmented = [by_case[case] for case in cases if case in by_case]
        place = f"{name}_GT" if truth else f"{name}_RES"
        if len(segmented) < len(cases):
            remarks.append(
                f"{place} is not written: {len(cases) - len(segmented)} frames have no labels"
            )
            continue
        presence = [_present(frame, anew=anew) for frame in segmented]
        with at(place):
            numbers, tracks = tracks_of_labels(presence, anew=anew)
        source = ReadFrames(
            [partial(_renumbered, *pair) for pair in zip(segmented, numbers, strict=True)]
        )
        write_sequence(folder / place, source, tracks, truth=truth, digits=digits)
        remarks += [
            f"{place}: {frame.case} failed, its mask is empty"
            for frame in segmented
            if frame.failed
        ]
        if not tracks:
            remarks.append(
                f"{place} holds no object: the list of its tracks is empty, which the format does "
                "not allow and some programs cannot read; its scores are 0"
            )
    return remarks


def movies(folder: Path, cases: Sequence[Case], *, truth: bool) -> Iterator[tuple[str, Movie]]:
    """Yield an algorithm's movies, and maybe the true ones, by their folders in the layout."""
    numbered = all(case.name.isdecimal() for case in cases)
    for number, case in enumerate(cases, start=1):
        name = case.name if numbered else f"{number:02d}"
        record = read_record(folder / case.name)
        files = case.truth(TASKS["track"])
        if record is not None and record.ok:
            labels, tracks = (
                folder / case.name / record.outputs[s.slug] for s in (TRACKED, TRACKS)
            )
            yield f"{name}_RES", read_movie(labels, tracks)
        if truth and len(files) == 2:
            yield f"{name}_GT", read_movie(*files.values())


def write_movie(folder: Path, movie: Movie) -> None:
    """Write a movie as a sequence, as a truth where the folder is called so."""
    labels = movie.labels
    frame = Volume(labels.array[0], labels.spacing, labels.axes[1:], labels.metadata)
    write_sequence(
        folder, labels.array, movie.tracks, truth=folder.name.endswith("_GT"), like=frame
    )


def write_sequences_table(path: Path, plan: Mapping[str, TextSeq]) -> None:
    """Write a CSV table of the cases by sequence and frame."""
    rows = ((name, *frame) for name, cases in plan.items() for frame in enumerate(cases))
    write_rows(path, [("sequence", "frame", "case")], rows)


def _renumbered(segmentation: Segmentation, numbers: Mapping[int, int]) -> Labels:
    """Return the labels of a case with new numbers for some."""
    labels = segmentation.labels()
    if not numbers:
        return labels
    present, places = np.unique(labels, return_inverse=True)
    new = np.array([numbers.get(label, label) for label in present.tolist()], np.uint16)
    return new[places].reshape(labels.shape)


def _pixels(path: Path) -> Labels:
    return read(path).array


def _cut(path: Path, crop: Box) -> Labels:
    """Return a part of a label image."""
    image = read(path)
    kind = image.array.dtype.kind
    if kind not in "iu" or image.axes not in ("YX", "ZYX") or (image.array < 0).any():
        raise InputError(
            f"{path}: expected labels, integers from 0 along YX or ZYX, found {image.array.dtype} "
            f"along {image.axes}"
        )
    ends = [part.stop or 0 for part in crop] or image.shape
    if len(ends) != len(image.shape) or any(a > b for a, b in zip(ends, image.shape, strict=True)):
        raise InputError(f"{path}: crop must have an end in {image.shape} per axis, found {ends}")
    if not (labels := image.array[crop]).size:
        raise InputError(
            f"{path}: nothing is left by the crop; its begins must lie before its ends"
        )
    return labels


def _nothing(case: Case, task: Task) -> Labels:
    image = case.main(task)
    assert image is not None  # every segmentation has one
    return np.zeros(header(image).shape, np.uint16)


def _present(frame: Segmentation, *, anew: bool) -> list[int]:
    """Return the labels in a frame, refused where the format cannot hold them."""
    labels = [label for label in np.unique(frame.labels()).tolist() if label]
    if labels and (len(labels) if anew else labels[-1]) > LARGEST:
        raise InputError(
            f"{frame.case}: expected labels up to {LARGEST}, the largest of a 16-bit mask, found "
            f"{labels[-1]} ({len(labels)} objects); number the objects anew from 1"
        )
    return labels
