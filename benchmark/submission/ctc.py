"""Segmentations of a run as result folders of the Cell Tracking Challenge."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.benchmark.csvfile import written
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.record import Record, read_record
from cytosuite.errors import InputError
from cytosuite.formats import header, read
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import LARGEST, write_sequence
from cytosuite.tasks import TASKS, Task

# Of a case that was read from a sequence, behind its dataset where there are several.
FRAME = re.compile(r"((?:.+-)?\d\d)_t(\d{3,})", re.ASCII)
TABLE = "sequences.csv"

Labels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A segmented case: the source of its labels, and whether it failed."""

    case: str
    labels: Callable[[], Labels]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class LabelFrames:
    """Label frames in files with new numbers for some labels, read one at a time."""

    frames: Sequence[Segmentation]
    numbers: Sequence[Mapping[int, int]]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    def __getitem__(self, frame: int, /) -> Labels:
        """Return the labels of a frame."""
        labels = self.frames[frame].labels()
        new = labels.astype(np.uint16) if self.numbers[frame] else labels
        for label, number in self.numbers[frame].items():
            new[labels == label] = number
        return new


def segmentations(
    folder: Path, key: str, cases: Sequence[Case], task: Task
) -> Iterator[Segmentation]:
    """Yield the segmentations of an algorithm in a run; of a failed case an empty one.

    Parameters
    ----------
    folder : Path
        Results of the algorithm: ``runs/<run>/<algorithm>``.
    key : str
        Of the job; records with another are no results of it.
    cases : sequence of Case
        Of the dataset.
    task : Task
        Of the run; its main output is the labels.

    Raises
    ------
    InputError
        If a case has no result.
    """
    assert task.main_output is not None
    for case in cases:
        record = read_record(folder / case.name)
        if record is None or record.key != key:
            raise InputError(f"{folder / case.name}: no result of this run; run it to its end")
        yield _segmentation(record, folder / case.name, case, task.main_output.slug, task)


def truths(cases: Sequence[Case]) -> list[Segmentation]:
    """Return the true labels of cases; those without are left out."""
    labels = TASKS["segment"].outputs[0].slug
    paths = {case.name: case.socket(labels) for case in cases}
    return [Segmentation(n, partial(_pixels, path)) for n, path in paths.items() if path]


def sequences(names: Sequence[str], *, series: bool = False) -> dict[str, list[str]]:
    """Return the cases of each sequence in the order of its frames.

    Parameters
    ----------
    names : sequence of str
        Of the cases, in the order of the dataset.
    series : bool
        Whether all are frames of one time series, in this order.

    Returns
    -------
    dict of str to list of str
        Cases that were read from sequences (``01_t000``) are frames of these, which are numbered
        anew where several datasets have them (``a-01_t000``). Others are volumes
        of their own: a sequence of one frame each, 01, 02, ...; with more than 99 cases all have
        three digits, or more.

    Raises
    ------
    InputError
        If a frame of a sequence is missing.

    Examples
    --------
    >>> sequences(["a", "b"])
    {'01': ['a'], '02': ['b']}
    >>> sequences(["02_t001", "02_t000"])
    {'02': ['02_t000', '02_t001']}
    >>> sequences(["a-01_t000", "b-01_t000"])
    {'01': ['a-01_t000'], '02': ['b-01_t000']}
    """
    if series:
        return {"01": list(names)}
    frames = [FRAME.fullmatch(name) for name in names]
    digits = max(2, len(str(len(names))))
    if not all(frames):
        return {f"{number:0{digits}d}": [name] for number, name in enumerate(names, start=1)}
    found: dict[str, dict[int, str]] = {}
    for match in frames:
        assert match is not None
        found.setdefault(match[1], {})[int(match[2])] = match[0]
    for sequence, own in found.items():
        if absent := set(range(max(own) + 1)) - set(own):
            raise InputError(
                f"sequence {sequence}: frame {min(absent)} is missing; expected all from 0 to "
                f"{max(own)}"
            )
    plan = {name: [own[frame] for frame in sorted(own)] for name, own in sorted(found.items())}
    if all(name.isdecimal() for name in plan):
        return plan
    return {f"{number:0{digits}d}": own for number, own in enumerate(plan.values(), start=1)}


def tracks_of_labels(
    presence: Sequence[Sequence[int]],
) -> tuple[list[dict[int, int]], list[Track]]:
    """Return tracks that follow the labels through the frames, and the labels that change.

    Parameters
    ----------
    presence : sequence of sequence of int
        Labels in each frame.

    Returns
    -------
    list of dict of int to int
        For each frame, new numbers of labels. A label keeps its number; one that comes back after
        a gap, which no track may have, gets a number above all others.
    list of Track
        A later stretch of a label has the one before as parent.

    Examples
    --------
    >>> numbers, tracks = tracks_of_labels([[1, 4], [4], [1]])
    >>> numbers, [(t.label, t.begin, t.end, t.parent) for t in tracks]
    ([{}, {}, {1: 5}], [(1, 0, 0, 0), (4, 0, 1, 0), (5, 2, 2, 1)])
    """
    last: dict[int, Track] = {}  # of each label of the frames
    done: list[Track] = []
    numbers: list[dict[int, int]] = []
    free = max((max(labels, default=0) for labels in presence), default=0) + 1
    for frame, labels in enumerate(presence):
        for label in labels:
            known = last.get(label)
            if known is None:
                last[label] = Track(label, frame, frame)
            elif known.end == frame - 1:
                last[label] = replace(known, end=frame)
            else:
                done.append(known)
                last[label] = Track(free, frame, frame, known.label)
                free += 1
        numbers.append({n: last[n].label for n in labels if last[n].label != n})
    return numbers, sorted([*done, *last.values()], key=lambda track: track.label)


def write_ctc(
    folder: Path,
    frames: Sequence[Segmentation],
    plan: Mapping[str, Sequence[str]],
    *,
    truth: bool = False,
) -> list[str]:
    """Write sequences of label frames, and return remarks that a reader must see.

    Parameters
    ----------
    folder : Path
        Gets ``01_RES`` with ``mask000.tif`` and ``res_track.txt``, or as a truth ``01_GT``.
    frames : sequence of Segmentation
        Of all cases in the plan, or of some: a sequence that lacks a frame is left out.
    plan : mapping of str to sequence of str
        See `sequences`; all files have as many digits as the longest needs.
    truth : bool
        Whether these are true labels.

    Raises
    ------
    InputError
        If a label is over 65535, or frames of a sequence have different shapes.
    """
    known = {frame.case: frame for frame in frames}
    digits = max(3, len(str(max(map(len, plan.values()), default=1) - 1)))
    remarks = []
    for name, cases in plan.items():
        own = [known[case] for case in cases if case in known]
        place = f"{name}_GT" if truth else f"{name}_RES"
        if len(own) < len(cases):
            remarks.append(f"{place} is not written: {len(cases) - len(own)} frames have no labels")
            continue
        numbers, tracks = tracks_of_labels([_present(frame) for frame in own])
        source = LabelFrames(own, numbers)
        write_sequence(folder / place, source, tracks, truth=truth, digits=digits)
        remarks += [
            f"{place}: {frame.case} failed, its mask is empty" for frame in own if frame.failed
        ]
        if not tracks:
            remarks.append(
                f"{place} holds no object: the list of its tracks is empty, which the format does "
                "not allow and some programs cannot read; its scores are 0"
            )
    return remarks


def write_sequences_table(path: Path, plan: Mapping[str, Sequence[str]]) -> None:
    """Write a CSV table of the cases by sequence and frame."""
    with written(path) as add:
        add([("sequence", "frame", "case")])
        for name, cases in plan.items():
            add((name, frame, case) for frame, case in enumerate(cases))


def _segmentation(record: Record, folder: Path, case: Case, slug: str, task: Task) -> Segmentation:
    """Return the segmentation in a result."""
    if record.ok:
        return Segmentation(case.name, partial(_pixels, folder / record.outputs[slug]))
    main = case.main(task)
    assert main is not None  # every segmentation has an image
    return Segmentation(case.name, partial(_nothing, main), failed=True)


def _pixels(path: Path) -> Labels:
    """Return the labels in a file."""
    return read(path).array


def _nothing(image: Path) -> Labels:
    """Return an empty mask of the shape of an image."""
    return np.zeros(header(image).shape, np.uint16)


def _present(frame: Segmentation) -> list[int]:
    """Return the labels in a frame, refused where the format cannot hold one."""
    found: list[int] = [label for label in np.unique(frame.labels()).tolist() if label]
    if found and found[-1] > LARGEST:
        raise InputError(
            f"{frame.case}: expected labels up to {LARGEST}, the largest of a 16-bit mask, found "
            f"{found[-1]} ({len(found)} objects); number the objects anew from 1"
        )
    return found
