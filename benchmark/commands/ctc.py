"""Command ``ctc``: the segmentations of a run for programs of the Cell Tracking Challenge."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cytosuite.errors import InputError

if TYPE_CHECKING:
    from cytosuite.benchmark.data.dataset import Case


def ctc_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, like runs/spheroid-mini-process.")],
    algorithm: Annotated[str | None, typer.Option(help="Which, where several were run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder; dist/<run>-<algorithm>-ctc.")
    ] = None,
    series: Annotated[
        bool, typer.Option(help="All cases are frames of one time series, by name.")
    ] = False,
    truth: Annotated[bool, typer.Option(help="Write the true labels too: 01_GT.")] = False,
) -> None:
    """Write the segmentations of a run as result folders of the Cell Tracking Challenge."""
    from cytosuite.benchmark.submission import ctc
    from cytosuite.files import atomic
    from cytosuite.places import need_folder
    from cytosuite.tasks import TASKS

    known = _read_run(run)
    name, key = known.job(algorithm)
    place = out or Path("dist") / f"{run.resolve().name}-{name}-ctc"
    need_folder(place, new=True)
    cases = known.cases()
    plan = ctc.sequences([case.name for case in cases], series=series)
    found = list(ctc.segmentations(run / name, key, cases, TASKS["segment"]))
    with atomic(place) as temporary:
        folder = temporary / known.dataset
        remarks = ctc.write_ctc(folder, found, plan)
        if truth:
            remarks += ctc.write_ctc(folder, ctc.truths(cases), plan, truth=True)
        ctc.write_sequences_table(temporary / ctc.TABLE, plan)
        if place.exists():
            place.rmdir()  # empty, as was checked; atomic would remove a full one too
    if any(len(frames) > 1 for frames in plan.values()):
        remarks.append(
            "tracks follow the labels: of an algorithm that segments each frame alone, SEG and DET "
            "mean something, TRA and LNK do not"
        )
    for remark in remarks:
        typer.echo(f"note: {remark}")
    typer.echo(f"written: {place}, {len(plan)} sequences of {len(cases)} cases")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run on disk, as ``run.json`` describes it."""

    folder: Path
    dataset: str
    fingerprint: str
    jobs: dict[str, str]

    def job(self, wanted: str | None) -> tuple[str, str]:
        """Return name and key of an algorithm, which may be left out where there is one alone."""
        from cytosuite.benchmark.catalog import pick

        names = pick("algorithm in this run", [wanted] if wanted else [], self.jobs)
        if len(names) > 1:
            raise InputError(
                f"{self.folder}: expected one algorithm, found {', '.join(names)}; name one with "
                "--algorithm"
            )
        return names[0], self.jobs[names[0]]

    def cases(self) -> list["Case"]:
        """Return the cases of the dataset that the run was made on."""
        from cytosuite.benchmark.data.dataset import Case
        from cytosuite.files import read_json

        home = self.folder.resolve().parent / "datasets"
        found = sorted(home.glob(f"*-{self.fingerprint[:12]}/dataset.json"))
        if not found:
            raise InputError(
                f"{home}: the dataset of this run, {self.dataset} ({self.fingerprint[:12]}), is "
                "not there; run the benchmark again"
            )
        cases = found[0].parent / "cases"
        return [Case(name, cases / name) for name in read_json(found[0])["cases"]]


def _read_run(folder: Path) -> RunFolder:
    """Return a segmentation run."""
    from cytosuite.files import read_json

    path = folder / "run.json"
    content: Any = read_json(path)
    try:
        task, jobs = content["task"], dict(content["jobs"])
        found = RunFolder(folder, str(content["dataset"]), str(content["fingerprint"]), jobs)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected the description of a run, {error} is wrong") from None
    if task != "segment":
        raise InputError(f"{path}: expected a run of the task segment, found {task}")
    return found
