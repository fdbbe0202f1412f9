"""Views of Fuse My Cells with their fused images: pairs by their names, or by a list of files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cytosuite.datasets.folder.conditions import FILE
from cytosuite.datasets.folder.entries import Entries
from cytosuite.errors import InputError
from cytosuite.lists import first_of, read_list
from cytosuite.metadata import view_role
from cytosuite.tasks import TASKS

FUSION = TASKS["fuse"]
FUSED = FUSION.outputs[0].slug


@dataclass(frozen=True, slots=True)
class Views:
    """The images that are fused, with the truth where there is one.

    Parameters
    ----------
    found : Entries
        The views, and reasons for what is left out.
    fused : mapping of str to Path
        Fused images by the key of their view.
    notes : tuple of str
        Sentences for the readers of the scores.
    """

    found: Entries
    fused: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def truth(self, key: str) -> dict[str, Path]:
        """Return the fused image of a view by its socket, nothing where there is none."""
        return {FUSED: self.fused[key]} if key in self.fused else {}


def by_name(found: Entries) -> Views:
    """Return the images of a folder as views, ``<name>_fused`` as the truth of ``<name>_angle``.

    Parameters
    ----------
    found : Entries
        An image with neither ending is a view without truth.

    Raises
    ------
    InputError
        If two fused images belong to one view, or there is no view at all.
    """
    roles = {key: view_role(key) for key in found.images}
    fused: dict[str, Path] = {}
    for key, role in roles.items():
        if role is None or role[1] != "fused":
            continue
        first, path = fused.setdefault(role[0], found.images[key]), found.images[key]
        if first != path:
            raise InputError(
                f"{path.parent}: fused images need different names, found {first.name} and "
                f"{path.name}"
            )
    views = {key: path for key, path in found.images.items() if path not in fused.values()}
    known = {key: fused[role[0]] for key in views if (role := roles[key]) and role[0] in fused}
    alone = sorted(set(fused.values()) - set(known.values()))
    if alone and not views:
        wanted = re.sub("fused$", "angle", alone[0].stem, flags=re.IGNORECASE)
        raise InputError(
            f"{alone[0].parent}: expected views like {wanted}{alone[0].suffix}, found fused "
            f"images alone: {alone[0].name}"
        )
    names = {path: key for key, path in found.images.items()}
    left = {f"{names[path]}{path.suffix}": "a fused image without its view" for path in alone}
    return Views(Entries(views, {**found.skipped, **left}), known)


def by_list(folder: Path, found: Entries, task: str | None) -> Views | None:
    """Return the pairs of the list in a folder; None where there is no list of views.

    Parameters
    ----------
    folder : Path
        May hold CSV files with rows ``Study1_H5/a_angle.h5;Study1_H5/a_fused.h5``. Of several
        lists ``*_test.csv`` counts: the others are for training.
    found : Entries
        Of the folder: what is not in the list is left out with a word.
    task : str or None
        Without one a list counts if its names have the endings of views.

    Raises
    ------
    InputError
        If there are several lists, or one is wrong, see `cytosuite.lists.read_list`.
    """
    firsts = {path: first_of(path) for path in sorted(folder.glob("*.csv")) if path.name != FILE}
    lists = [path for path, first in firsts.items() if first and (task or view_role(first.stem))]
    chosen = [path for path in lists if path.stem.endswith("_test")] or lists
    if not chosen:
        return None
    if len(chosen) > 1:
        names = ", ".join(path.name for path in chosen[:3])
        raise InputError(
            f"{folder}: expected one list of pairs, named *_test.csv where there are more, found "
            f"{len(chosen)}: {names}"
        )
    pairs = read_list(chosen[0])
    views = {_key(folder, view): view for view, _ in pairs}
    fused = {_key(folder, view): truth for view, truth in pairs if truth is not None}
    listed = {*views.values(), *fused.values()}
    left = {
        f"{key}{path.suffix}": f"not in {chosen[0].name}"
        for key, path in found.images.items()
        if path not in listed
    }
    tops = {f"{path.relative_to(folder).parts[0]}/" for path in listed}
    skipped = {name: why for name, why in found.skipped.items() if name not in tops}
    skipped = {name: why for name, why in skipped.items() if folder / name not in lists}
    note = f"The pairs are those of {chosen[0].name}."
    return Views(Entries(views, {**skipped, **left}), fused, (note,))


def has_pairs(keys: Iterable[str]) -> bool:
    """Return whether there are a view and a fused image of one specimen among names."""
    roles = [role for key in keys if (role := view_role(key))]
    names = [{name for name, role in roles if role == wanted} for wanted in ("angle", "fused")]
    return not names[0].isdisjoint(names[1])


def _key(folder: Path, path: Path) -> str:
    """Return the path of an image in a folder, without suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()
