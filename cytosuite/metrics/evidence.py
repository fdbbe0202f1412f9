"""Evidence: the table, pair or sample that a family of metrics is computed from, gathered once."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pickle import PicklingError
from typing import Any, Generic, Literal, TypeVar

from cytosuite.files import TextPair, Texts

T = TypeVar("T")
Scope = Literal["case", "set"]
Form = Literal["arrays", "volumes", "scenes"]

CASE_FACTS = ("truth", "prediction", "image", "labels", "spacing", "data_range")
SET_FACTS = ("real", "synthetic")
SETTINGS = ("edge_settings", "radius_um", "segmenter")


@dataclass(frozen=True, eq=False)
class Evidence(Generic[T]):
    """A way to gather evidence, and the facts that it takes.

    Parameters
    ----------
    gather : callable
        Returns the evidence; its parameters are named like the facts.
    needs : tuple of str
        Facts without which there is no evidence. Of a case (`CASE_FACTS`): ``truth``,
        ``prediction``, ``image`` (the main input) and ``labels`` (of the objects in the image) are
        arrays (places of points, in pixels), ``spacing`` is µm per voxel, ``data_range`` the grey
        values that count as 1. Of a set (`SET_FACTS`): ``real`` and ``synthetic`` images.
        `SETTINGS` of a family are known where a user chose them.
    uses : tuple of str
        Facts that are handed over where they are known.
    pool : callable or None
        Returns the evidence of several cases taken as one; None where there is none.
    form : str
        How the images of a set are handed over: as arrays, as `Volume` (with voxel size) or as
        `Scene` (with labels). For a set alone.
    voxel_bytes : int
        Memory that gathering takes per voxel of the largest image [bytes]; 0 where it is that of a
        slab, whatever the size of the image.
    tabled : bool
        Whether a table of the case is written of it, also where it has no pool.
    """

    gather: Callable[..., T]
    needs: Texts
    uses: Texts = ()
    pool: Callable[[Sequence[T]], T] | None = None
    form: Form = "arrays"
    voxel_bytes: int = 0
    tabled: bool = False

    @property
    def kept(self) -> bool:
        """Whether the evidence of a case is needed after its scores."""
        return self.tabled or self.pool is not None

    def __post_init__(self) -> None:
        """Refuse facts that do not exist."""
        unknown = set(self.needs + self.uses) - {*CASE_FACTS, *SET_FACTS, *SETTINGS}
        if unknown:
            raise ValueError(f"evidence: unknown facts {sorted(unknown)}")

    def __reduce__(self) -> tuple[Callable[[str, str], object], TextPair]:
        """Pickle the name: evidence is compared by identity, also in another process."""
        module = sys.modules[self.gather.__module__]
        name = next((name for name, value in vars(module).items() if value is self), None)
        if name is None:
            raise PicklingError(f"evidence of {self.gather.__name__} has no name in its module")
        return _named, (module.__name__, name)

    @property
    def scope(self) -> Scope:
        """Whether a value belongs to one case or to a set of images."""
        return "set" if set(self.needs) & set(SET_FACTS) else "case"

    def missing(self, facts: "Facts") -> list[str]:
        """Return the needed facts that are not known."""
        return [name for name in self.needs if not facts.has(name, self.form)]

    def of(self, facts: "Facts") -> T:
        """Return the evidence from the facts of a case or set; all that it needs must be known.

        Raises
        ------
        InputError
            If the facts do not suit it, or it would take more memory than is free.
        """
        names = self.needs + self.uses
        form = self.form
        arguments = {name: facts.get(name, form) for name in names if facts.has(name, form)}
        if self.voxel_bytes:
            from cytosuite.volume.memory import need_memory  # NumPy

            voxels = max(map(_voxels, arguments.values()))
            image = f"an image of {voxels} voxels is too large: it needs"
            need_memory(voxels * self.voxel_bytes, image, "give more memory, or crop it")
        return self.gather(**arguments)


def _named(module: str, name: str) -> object:
    """Return a value of a module by its name."""
    return getattr(import_module(module), name)


class Facts:
    """Facts about one case or one set, each read on first use and kept.

    `sources` holds the reader of each fact by its name; of images of a set by name and form,
    ``real:scenes``.
    """

    def __init__(self, sources: Mapping[str, Callable[[], Any]]) -> None:
        self._sources = {key: cache(read) for key, read in sources.items()}

    def has(self, name: str, form: Form = "arrays") -> bool:
        """Return whether a fact can be read."""
        return self._key(name, form) in self._sources

    def get(self, name: str, form: Form = "arrays") -> Any:  # noqa: ANN401 - as facts differ
        """Return a fact."""
        return self._sources[self._key(name, form)]()

    @staticmethod
    def _key(name: str, form: Form) -> str:
        """Return the key of a source."""
        return f"{name}:{form}" if name in SET_FACTS else name


Gathered = Mapping[Evidence[Any], Any]  # of one case or set


def gather(evidence: Iterable[Evidence[Any]], facts: Facts) -> Gathered:
    """Return each evidence that the facts of one case or set are sufficient for, gathered once."""
    return {kind: kind.of(facts) for kind in dict.fromkeys(evidence) if not kind.missing(facts)}


def _voxels(fact: Any) -> int:  # noqa: ANN401 - as facts differ
    """Return the voxels of a fact that is an image, of the largest one of several, else 0."""
    if isinstance(fact, list):
        return max(map(_voxels, fact), default=0)
    image = getattr(fact, "image", fact)  # of a scene
    return int(getattr(getattr(image, "array", image), "size", 0))
