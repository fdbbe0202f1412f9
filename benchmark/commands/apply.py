"""An algorithm on a user's images without scores: files or folders in, outputs out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.catalog.models import choice_digest
from cytosuite.benchmark.catalog.packages import refusal
from cytosuite.benchmark.commands.choice import (
    SECOND,
    UnableError,
    candidates_for,
    cards_of_all,
    choose_able,
    folder_of,
    own_images,
    show_choice,
)
from cytosuite.benchmark.commands.data import need, start_engine
from cytosuite.benchmark.commands.files.applied import (
    FILE,
    Applied,
    OutputFiles,
    count_in_cells,
    join_objects,
    named,
    summary,
    write_applied,
)
from cytosuite.benchmark.commands.files.sizes import ALONE, SHARED, asked_first, sharings
from cytosuite.benchmark.commands.options.apply import ApplyOptions, SegmentOptions
from cytosuite.benchmark.commands.terminal.console import Cases, Step, progress, say
from cytosuite.benchmark.runs.data.dataset import Case, make_case
from cytosuite.benchmark.runs.plan import Job, job_key
from cytosuite.benchmark.runs.run import run_job
from cytosuite.benchmark.runs.store.integrity import foreign_digest
from cytosuite.contract.interface import read_case
from cytosuite.contract.manifest import AlgorithmManifest as Manifest
from cytosuite.contract.metadata import as_plane, with_given
from cytosuite.contract.select import FOLDER, describe
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import ASSUME, Say
from cytosuite.datasets.folder.load import load
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import Entries, TextPair, TextSeq, value_digest, work_folder, write_json
from cytosuite.files.working import alone
from cytosuite.folders.entries import OBJECTS
from cytosuite.folders.index import Item
from cytosuite.folders.masks import files_of, read_labels
from cytosuite.folders.part import content as content_of

DONE = ("there already", "written")


def segment_command(options: SegmentOptions, console: Console) -> int:
    """Segment images, or show the choice of the model; exit code 1 at a failure, 2 without one."""
    if options.dry_run:
        return show_choice(options, console)
    return 1 if any(applied.status == "failed" for applied in apply(options, console)) else 0


def apply_command(options: ApplyOptions, console: Console) -> int:
    """Run an algorithm of any task on images and count points by cell, or show the choice."""
    code = segment_command(options, console)
    if options.cells is not None and not options.dry_run:
        say(console, f"points by cell: {count_in_cells(options.out, options.cells)}")
    return code


def apply(options: SegmentOptions, console: Console | None = None) -> list[Applied]:
    """Run an algorithm on images: ``<name>.tif`` or OME-Zarr, ``.json``, ``.png``, tables."""
    return _Application(options, console or Console(quiet=True)).run()


class _Application:
    """An algorithm, or several to choose from, on the images that the user names."""

    def __init__(self, options: SegmentOptions, console: Console) -> None:
        self.options, self.out, self.say = options, options.out, partial(say, console)
        self.console = console
        self.candidates, self.models = candidates_for(options, console)
        self.names = [candidate.name for candidate in self.candidates]
        self.task = TASKS[self.candidates[0].task]
        if options.rois and self.task.outputs[0].kind != "labels":
            raise InputError(f"--rois: expected a task that makes labels, found {self.task.name}")
        items, self.skipped = own_images(options, self.task.name)
        taken = {item.name.casefold() for item in items}
        self.targets = [named(item, self.out, taken) for item in items]
        for target in self.targets:
            written = (target.output(), *map(target.file, (".json", ".png")))
            image = target.item.image
            if image.resolve() in {path.resolve() for path in written}:
                raise InputError(
                    f"{self.out}: the output would overwrite {image}; name another folder"
                )
        self.results: dict[str, Applied] = {}
        # Once for all images: it reads the sources of an algorithm, or asks the daemon.
        self.program = cache(lambda name: job_key("", name, self.engine))
        self.unable = cache(partial(refusal, lambda name: need(self.engine, options, [name])))

    def run(self) -> list[Applied]:
        """Make the results that are not there, and return one per image."""
        self.say(*self.skipped)
        before = {target.name: target.record() for target in self.targets}
        several = len(self.names) > 1
        self.engine = start_engine(
            self.options, [] if several else self.names, self.console, self.models
        )
        if several and self.engine.name != "process":  # images are in the keys of results
            met = {str(record["algorithm"]) for record in before.values() if record}
            need(self.engine, self.options, sorted(met.intersection(self.names)))
        for target in self.targets:
            target.fingerprint = self._fingerprint(target.item)
        self._leave(before)
        items = [target.item for target in self.targets]
        first = asked_first(items)
        with (
            _workspace(self.out, self.say) as folder,
            progress(self.console, "running", minor=True) as step,
        ):
            for target in self.targets:
                self._measure(target, before[target.name])
            begun = [t for t in self.targets if t.name in first and self._is_open(t, lone=True)]
            self._make(begun, folder / "alone", step)
            done = {n for n, applied in self.results.items() if applied.status in DONE}
            shared = sharings(
                items, first, {t.name: t.record() for t in self.targets if t.name in done}
            )
            for target in self.targets:
                target.sharing = shared.get(target.name)
            self._make([target for target in self.targets if self._is_open(target)], folder, step)
        results = [self.results[target.name] for target in self.targets]
        self.say(*summary(results), *self.skipped)
        return results

    def _leave(self, before: Mapping[str, Entries]) -> None:
        """Take over the results of earlier runs that are current, or must not be replaced."""
        for target in self.targets:
            record = before[target.name]
            current = bool(
                record
                and record["algorithm"] in self.names
                and record["key"] == self._key(target, record["algorithm"])
                and self._still(record.get("warnings", ()))
            )
            done = target.earlier(record, self.options, current=current)
            if done is not None:
                self.results[target.name] = done
        if there := [applied.status for applied in self.results.values()].count("there already"):
            self.say(f"{there} of {len(self.targets)} images are done already")
        self.say(*(done.line for done in self.results.values() if done.message))

    def _measure(self, target: OutputFiles, record: Entries) -> None:
        """Measure labels anew that were changed by hand: the table has the objects before."""
        done = self.results.get(target.name)
        if done and done.message and target.is_corrected(record):
            from cytosuite.benchmark.scores.objects import write_objects

            try:
                image = load(target.item, ASSUME).volume(target.item.socket)
                labels = replace(
                    image.channels[0].like(read_labels(target.output()).channels[0].array),
                    spacing=tuple(record["spacing_um"]),
                )
                write_objects(target.file(OBJECTS), labels, image)
            except InputError as error:
                self.say(f"{FILE} has the objects of {target.name} before a change: {error}")

    def _fingerprint(self, item: Item) -> str:
        """Return the digest of an image, its further files, and all that decides its algorithm."""
        content: dict[str, object] = {
            "files": {
                slug: foreign_digest(
                    [file for path in files_of(source) for file in content_of(path)], source.parent
                )
                for slug, source in {"main": item.image, **item.files}.items()
            },
            "spacing": None if self.options.spacing == ASSUME else self.options.spacing,
            "part": asdict(item.part),
            **self.options.metadata,
            **folder_of(item.image),
        }
        if len(self.names) > 1:
            content["candidates"] = list(map(choice_digest, self.names))
        return value_digest(content)

    def _key(self, target: OutputFiles, algorithm: str) -> str:
        """Return the key of the result of an image."""
        return value_digest([target.fingerprint, self.program(algorithm)])

    def _is_open(self, target: OutputFiles, *, lone: bool = False) -> bool:
        """Return whether an image is to be made: anew where its size is not the one it shares."""
        done = self.results.get(target.name)
        if done is None:
            return True
        if done.status not in DONE or (done.status == DONE[0] and done.message):
            return False  # changed by hand, or failed
        record = target.record()
        sharing = target.sharing
        if lone:
            return SHARED in record and ALONE not in record
        if sharing and sharing.own and SHARED not in record:
            write_json(target.file(".json"), {**record, SHARED: sharing.metadata})
            return False
        return record.get(SHARED) != (sharing and sharing.metadata)

    def _make(self, todo: Sequence[OutputFiles], folder: Path, step: Step) -> None:
        """Run the algorithms on images, with the sizes that they share."""
        cases = Cases(step, len(todo))
        chosen = self._prepare(todo, folder, cases)
        for candidate in self.candidates:
            for (name, place), targets in chosen.items():
                if name == candidate.name:
                    self._run(candidate, targets, folder, cases, place)

    def _finish(self, target: OutputFiles, done: Applied) -> None:
        """Keep and show the result of one image."""
        self.results[target.name] = done
        self.say(f"{len(self.results)} of {len(self.targets)}: {done.line}")

    def _prepare(
        self, targets: Sequence[OutputFiles], folder: Path, cases: Cases
    ) -> dict[TextPair, dict[Case, OutputFiles]]:
        """Return a case of each image by algorithm and folder; InputError where none can run."""
        chosen: dict[TextPair, dict[Case, OutputFiles]] = {}
        refused = []
        options = self.options
        task = self.task
        for target in targets:
            item = target.item
            name = target.name
            cases.inside("reading", name, None)
            case = Case(name, folder / "cases" / name)
            sharing = target.sharing
            shared = sharing.metadata if sharing and not sharing.own else {}
            try:
                make_case(
                    case, partial(load, item, options.spacing, {**options.metadata, **shared}), {}
                )
                inputs = read_case(case.input(task), task)
                volumes = inputs.volumes
                cards = cards_of_all(self.candidates, self.models)
                seen = (as_plane(with_given(v, task, volumes), cards) for v in volumes.values())
                known = describe(next(seen, None), inputs.values) | folder_of(item.image)
                algorithm, doubts = choose_able(self.candidates, known, self.models, self.unable)
            except UnableError as error:
                refused.append((target, error))
            except CytosuiteError as error:
                cases("reading", name, "failed")
                place, _, message = str(error).partition(": ")
                inside = place.startswith(str(folder))  # a link to the image, gone at the end
                self._finish(target, target.failed(message if inside else str(error)))
            else:
                target.doubts = [*doubts, *(sharing.doubt if sharing else ())]
                chosen.setdefault((algorithm.name, str(known.get(FOLDER, ""))), {})[case] = target
        for target, reason in refused:
            if not self.results and not chosen:
                raise reason
            self._finish(target, target.failed(str(reason)))
        return chosen

    def _still(self, warnings: TextSeq) -> bool:
        """Return whether the algorithms that an earlier command had to replace still cannot run."""
        second = {line for line in warnings if line.startswith(SECOND)}
        return not second or second <= {SECOND + self.unable(name) for name in self.names}

    def _run(
        self,
        algorithm: Manifest,
        targets: Mapping[Case, OutputFiles],
        folder: Path,
        cases: Cases,
        place: str,
    ) -> None:
        """Run an algorithm on its cases of one folder, and write each result as it comes."""
        home, engine, options = folder / "results" / algorithm.name, self.engine, self.options
        job = Job(algorithm, "", home, tuple(targets), 0, algorithm.name in engine.models)

        def take(name: str, case_name: str, status: str) -> None:
            """Write the result of one image."""
            cases(name, case_name, status)
            case = Case(case_name, folder / "cases" / case_name)
            target = targets[case]
            self._finish(target, write_applied(target, case, job, self._key(target, name), options))

        api = options.api or engine.api
        limits = replace(options.limits(algorithm), folder=place)
        run_job(job, self.task, engine, limits, api, take, cases.inside, keep_going=True)


@contextmanager
def _workspace(out: Path, say: Say) -> Iterator[Path]:
    """Create a hidden, locked work folder inside the folder of the results; join their tables."""
    with alone(out):
        try:
            with work_folder(out) as folder:
                yield folder
        finally:
            for line in join_objects(out):
                say(line)
