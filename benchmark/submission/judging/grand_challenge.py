"""Cases up to an archive of grand-challenge.org, answers of an algorithm down; needs gcapi alone.

    python grand_challenge.py upload ARCHIVE        # each case of this folder, once
    python grand_challenge.py fetch ALGORITHM OUT   # OUT/<socket>/<case>.<suffix>, OUT/jobs.csv

The token is read from GRAND_CHALLENGE_AUTHORIZATION. Both go on where they were.
"""

# ruff: noqa: ANN401 - objects of gcapi

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

HERE = Path(__file__).resolve().parent  # of cases.json
COLUMNS = ("case", "status", "seconds", "version", "job", "outputs")  # of jobs.csv


def upload(client: Any, archive: str) -> None:
    """Add each case to an archive as an item of its name, but those that are there."""
    from gcapi import SocketValueSpec

    items = client.archive_items.iterate_all(
        params={"archive": client.archives.detail(slug=archive).pk}
    )
    present = {item.title: len(item.values) for item in items}
    for name, files in cases():
        if name not in present:
            values = [
                SocketValueSpec(socket_slug=slug, file=HERE / file) for slug, file in files.items()
            ]
            client.add_case_to_archive(archive_slug=archive, values=values, title=name)
        there = f"there already, with {present.get(name)} of {len(files)} inputs"
        _say(f"{name}: {there if name in present else 'added'}")


def fetch(client: Any, algorithm: str, out: Path) -> bool:
    """Write the answers of the first listed job of each case; whether all cases have one."""
    names = {
        PurePosixPath(file).name: name
        for name, files in cases()
        for file in files.values()
        if "images" in PurePosixPath(file).parts
    }
    before = _jobs(table := out / "jobs.csv")
    rows = {}
    answers = []
    for job in client.algorithm_jobs.iterate_all(
        params={"algorithm_image__algorithm": client.algorithms.detail(slug=algorithm).pk}
    ):
        images = [value.image for value in job.inputs if value.image]
        uploaded = [client.images.detail(api_url=image).name for image in images]
        case = next((names[name] for name in uploaded if name in names), None)
        if case is None or case in rows:  # of another archive, or of an earlier version
            continue
        rows[case] = (
            *(case, job.status, job.exec_duration or "", job.algorithm_image, str(job.pk)),
            " ".join(value.interface.slug for value in job.outputs),
        )
        answers += [(case, value) for value in job.outputs if job.status == "Succeeded"]
        _say(f"{case}: {job.status}")
    out.mkdir(parents=True, exist_ok=True)
    for row in before:
        if row["job"] not in rows.get(row["case"], ()):  # its answers are of another job
            for slug in row["outputs"].split():
                for path in (out / slug).glob("*"):
                    if path.stem == row["case"] and path.is_file():
                        path.unlink()
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *(rows[name] for name in sorted(rows))])
    for case, value in answers:
        _write(client, value, out / value.interface.slug, case)
    missing = sorted({name for name, _ in cases()} - set(rows))
    for name in missing:
        sys.stderr.write(f"{name}: no job of {algorithm}\n")
    return not missing


def cases() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each case in the list with the paths of its inputs by socket."""
    for files in json.loads((HERE / "cases.json").read_text("utf-8")):
        yield PurePosixPath(next(iter(files.values()))).parts[0], files


def _jobs(table: Path) -> list[dict[str, str]]:
    """Return the rows of an earlier fetch, none without one; exit where it is another table."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            sys.exit(f"{table}: expected the columns {', '.join(COLUMNS)}; fetch into a new folder")
        return [*rows]


def _say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _write(client: Any, value: Any, folder: Path, case: str) -> None:
    """Write a value as a file named by its case, unless it is there."""
    if case in (path.stem for path in folder.glob("*")):
        return
    if value.image:
        client.images.download(url=value.image, output_directory=folder, filename=case)
        return
    content = value.value
    if value.file:
        answer = client(url=value.file, follow_redirects=True)
        content = answer if isinstance(answer, dict | list) else answer.json()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{case}.json").write_text(json.dumps(content), "utf-8")


def main(words: Sequence[str]) -> int:
    """Run the command of the words, and return the exit code."""
    match words:
        case ["upload", archive]:
            import gcapi

            upload(gcapi.Client(), archive)
            return 0
        case ["fetch", algorithm, out]:
            import gcapi

            return 0 if fetch(gcapi.Client(), algorithm, Path(out)) else 1
    sys.stderr.write(str(__doc__))
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
