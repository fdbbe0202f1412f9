"""A small finished run on disk."""

from toys import put

from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.integrity import seal
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.files import file_digest, write_json

MARK = "0123456789abcdef" * 4
KEY = "k"


def finish(folder, situations):
    """Return the folder of a run with a good case and one whose object is missed."""
    home = folder / f"datasets/toy-mini-{MARK[:12]}"
    cases = {"good": situations.perfect(), "bad": situations.missed()}
    facts = {"task": "segment", "fingerprint": MARK}
    fields = {"name": "toy", "size": "mini", "seed": None, "notes": [], "cases": list(cases)}
    write_json(home / "dataset.json", facts | fields)
    fields = {"dataset": "toy", "jobs": {"watershed": KEY}, "cases": dict.fromkeys(cases, "0")}
    write_json(folder / "toy/run.json", facts | fields)
    for name, (truth, answer) in cases.items():
        case = Case(name, home / "cases" / name)
        put(case.path(IMAGE.slug), truth)
        put(case.path(LABELS.slug), truth)
        fields = {"sockets": [IMAGE.slug, LABELS.slug], "conditions": {}, "spacing_assumed": False}
        write_json(case.folder / "case.json", fields)
        seal(case.folder)
        put(folder / "toy/watershed" / name / "output/a.tif", answer)
        record(folder / "toy/watershed" / name, "output/a.tif")
    return folder / "toy"


def record(folder, place):
    """Write the sealed record of a case with an output, and its right digest."""
    Record.model_construct(
        algorithm="watershed",
        version="0.1.0",
        case=folder.name,
        key=KEY,
        status="ok",
        outputs={LABELS.slug: str(place)},
        digests={LABELS.slug: file_digest(folder / place)},
    ).write(folder)
