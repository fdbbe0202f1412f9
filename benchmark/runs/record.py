"""The record of one case of one algorithm: ``record.json`` next to its outputs."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from cytosuite.benchmark.engines.outcome import Status
from cytosuite.contract.manifest import Sentence
from cytosuite.errors import count, plain
from cytosuite.files import (
    Entries,
    Json,
    TextDict,
    TextMap,
    TextPair,
    Texts,
    TextSeq,
    object_in,
    regular,
    value_digest,
    write_json,
)

RECORD = "record.json"
# Times by their key in a container's report.
TIMES = {
    "inside_seconds": "seconds",
    "cpu_seconds": "cpu_seconds",
    "network_seconds": "network_seconds",
}
LIMIT_BYTES = 100_000
LIMIT_LINES = 20
LIMIT_LINE = 300
LEFT = "not run, as the first cases failed alike: "  # message of a case of a given-up algorithm
SHOWN = 3  # names in a line for many cases
# Texts of a container: one printable line each, which no terminal, page or file takes for more.
Line = Annotated[str, AfterValidator(partial(plain, limit=LIMIT_LINE))]
Word = Annotated[str, AfterValidator(partial(plain, limit=100))]
# A file inside of a folder: no name of its path begins with a dot.
Place = Annotated[str, Field(pattern=r"^[^./\x00\n][^/\x00\n]*(/[^./\x00\n][^/\x00\n]*)*$")]


class ModelCost(BaseModel):
    """The cost of a model for an image, and the keys of ``must`` that it does not pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cost: FiniteFloat | None = None
    terms: dict[Word, FiniteFloat] = {}
    broken: tuple[Word, ...] = ()


class OtherModel(ModelCost):
    """A model that was not chosen, with the reason where it took no part."""

    model: Word
    left_out: Line = ""


class ModelChoice(ModelCost):
    """The choice of a model, as the container reports it."""

    by: Literal["metadata", "use", "user"] = "metadata"  # use: a model in use, before all others
    fallback: bool = False
    sources: dict[Word, Word] = {}
    others: tuple[OtherModel, ...] = ()  # nearest first, those that took no part last
    tie: tuple[Word, ...] = ()  # models of the same cost: trained from this one, or later by name

    @property
    def runner_up(self) -> OtherModel | None:
        """The model that would have been chosen without this one."""
        return next((model for model in self.others if not model.left_out), None)

    @classmethod
    def of(cls, reported: Entries, *, named: bool = False) -> "ModelChoice":
        """Return the choice in a container's report, empty if that makes no sense."""
        by = {"by": "user" if named else "use" if reported.get("by") == "use" else "metadata"}
        try:
            return cls.model_validate({**reported, **by})
        except ValidationError:
            return cls.model_validate(by)


class Record(BaseModel):
    """How one case of one algorithm went; `read_record` refuses one that was altered later."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    algorithm: str
    version: str
    case: str
    key: str
    status: Status
    message: Sentence = ""
    exit_code: int | None = None
    seconds: FiniteFloat = 0.0  # 0: not measured
    inside_seconds: FiniteFloat | None = None
    cpu_seconds: FiniteFloat | None = None  # of all threads, without the start
    network_seconds: FiniteFloat | None = None  # None without a network
    facts: dict[Word, Line] = {}  # ``tool`` with its version, ``size`` given or estimated
    startup_seconds: FiniteFloat = 0.0
    peak_memory: int | None = None
    gpu: Word = ""  # its product; empty for the CPU
    gpu_memory: int | None = None  # peak in bytes
    gpu_utilisation: FiniteFloat | None = None  # mean, %
    gpu_utilisation_max: FiniteFloat | None = None
    outputs: dict[str, Place] = {}  # by slug of the output socket
    digests: TextDict = {}  # SHA-256 of each output file by slug
    model: Word = ""
    selection: ModelChoice = ModelChoice()
    warnings: tuple[Line, ...] = ()  # shown to the user

    @property
    def ok(self) -> bool:
        """Whether the case ended with valid outputs."""
        return self.status == "ok"

    def write(self, folder: Path) -> None:
        """Write the record into the folder of its case."""
        content = self.model_dump(mode="json")
        write_json(folder / RECORD, {**content, "seal": value_digest(content)})


Records = Mapping[TextPair, Record]  # by algorithm and case


def read_record(folder: Path, key: str | None = None) -> Record | None:
    """Return the record of a case, of a key if one is given; None without a whole one."""
    content = object_in(folder / RECORD)
    if content.pop("seal", None) != value_digest(content):
        return None
    try:
        record = Record.model_validate(content)
    except ValidationError:
        return None
    return record if key in (None, record.key) else None


def container_report(path: Path) -> Entries:
    """Return the content of ``record.json``, which may be anything or absent, as a mapping."""
    status = regular(path)
    return object_in(path) if status and status.st_size <= LIMIT_BYTES else {}


def facts_in(reported: Entries) -> Json:
    """Return times and words of a container's report, those that make sense."""
    facts = {
        name: value
        for name, key in TIMES.items()
        if isinstance(value := reported.get(key), int | float) and value >= 0
    }
    words = reported.get("facts")
    pairs = words.items() if isinstance(words, dict) else ()
    texts = [(key, value) for key, value in pairs if isinstance(value, str)]
    return {**facts, "facts": dict(texts[:LIMIT_LINES])}


def warnings_in(reported: Entries) -> Texts:
    """Return the warnings in a container's report: at most 20 single lines of 300 characters."""
    texts = reported.get("warnings")
    texts = texts if isinstance(texts, list) else []
    lines = [plain(line, LIMIT_LINE) for line in texts if isinstance(line, str)]
    return tuple(line for line in lines if line)[:LIMIT_LINES]


def grouped(warnings: Mapping[str, TextSeq], noun: str) -> list[str]:
    """Return the warnings of many cases, a line for each kind: the words before the colon.

    >>> grouped({"a": ["size assumed: 1 µm"], "b": ["size assumed: 2 µm"]}, "image")
    ['size assumed in 2 images (a, b): 1 µm, and others']
    """
    by_kind: dict[str, TextDict] = {}
    for name, lines in warnings.items():
        for kind, _, finding in (line.partition(": ") for line in lines):
            by_kind.setdefault(kind, {})[name] = finding
    return [_as_line(kind, findings, noun) for kind, findings in by_kind.items()]


def _as_line(kind: str, findings: TextMap, noun: str) -> str:
    """Return the findings of one kind, by name of the case, as a line."""
    names = ", ".join([*list(findings)[:SHOWN], *(["..."] if len(findings) > SHOWN else [])])
    first, *others = dict.fromkeys(findings.values())
    return (
        f"{kind} in {count(len(findings), noun)} ({names})"
        + (f": {first}" if first else "")
        + (", and others" if others else "")
    )
