"""Card of a written dataset, ``croissant.json``: each file with its digest, and files by case.

Croissant 1.0 of MLCommons, http://mlcommons.org/croissant/1.0.
"""

from mimetypes import guess_type
from pathlib import Path
from typing import Any

from cytosuite import __version__
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.files import Json, file_digest, read_json, write_json
from cytosuite.folders.index import index

FILE = "croissant.json"
FORMAT = "http://mlcommons.org/croissant/1.0"
CONTEXT = read_json(Path(__file__).with_name("croissant.json"))  # of the format, word by word
SHORT = 12  # digits of a fingerprint that tell versions apart


def write_croissant(dataset: Dataset, folder: Path) -> None:
    """Write the card of a simulated dataset that lies in a folder, whole.

    Licence, address and authors are for the one who publishes it to add.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path: path.relative_to(folder).as_posix() for path in files}
    rows = []
    for item in index(folder, dataset.task).items:
        sockets = {slug: path for slug in item.files if (path := item.path(slug))}
        by_role = {item.socket: item.image, **sockets, **item.extras}
        paths = {role: names[path] for role, path in by_role.items() if path in names}
        rows.append({f"cases/{key}": text for key, text in {"case": item.name, **paths}.items()})
    fields = dict.fromkeys(key for row in rows for key in row)
    write_json(
        folder / FILE,
        {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": FORMAT,
            "name": dataset.name,
            "description": f"{dataset.title} ({dataset.size}): {len(rows)} cases for the task "
            f"{dataset.task}, simulated by cytosuite {__version__} with the seed {dataset.seed}.",
            "version": f"1.0.0+{dataset.fingerprint[:SHORT]}",
            "distribution": [
                _element("FileObject", name, contentUrl=name, sha256=file_digest(path))
                | {"encodingFormat": guess_type(name)[0] or "application/octet-stream"}
                for path, name in names.items()
            ],
            "recordSet": [
                _element(
                    "RecordSet",
                    "cases",
                    field=[_element("Field", key, dataType="sc:Text") for key in fields],
                    data=[{key: row.get(key, "") for key in fields} for row in rows],
                )
            ],
        },
    )


def _element(kind: str, name: str, **properties: Any) -> Json:  # noqa: ANN401 - JSON
    """Return an element of the card."""
    return {"@type": f"cr:{kind}", "@id": name, "name": name, **properties}
