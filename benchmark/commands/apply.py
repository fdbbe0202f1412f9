"""An algorithm on a user's images without scores: files or folders in, outputs out."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from cytosuite.benchmark.claims import alone
from cytosuite.benchmark.commands.applied import (
    Applied,
    failed,
    held,
    join_objects,
    named,
    output_of,
    recorded,
    summary,
    there_already,
    write_applied,
)
from cytosuite.benchmark.commands.data import need, start_engine
from cytosuite.benchmark.commands.options import ApplyOptions
from cytosuite.benchmark.commands.own_images import candidates_for, own_images
from cytosuite.benchmark.commands.progress import Cases, progress
from cytosuite.benchmark.data.dataset import Case, make_case
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.integrity import foreign_digest
from cytosuite.benchmark.models import Models, choice_digest, choose_algorithm
from cytosuite.benchmark.plan import Job, job_key
from cytosuite.benchmark.run import run_job
from cytosuite.datasets.folder.collect import Item
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.folder.microscopes import content as content_of
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import remove, sweep, value_digest
from cytosuite.interface import read_case
from cytosuite.manifest import AlgorithmManifest as Manifest
from cytosuite.metadata import with_given
from cytosuite.select import describe
from cytosuite.tasks import TASKS
from cytosuite.working import working_name


def apply(options: ApplyOptions, console: Console | None = None) -> list[Applied]:
    """Run an algorithm on images, and write ``<name>.tif``, ``.json`` and ``.png`` for each.

    The form follows the image: ``<name>.ome.zarr`` of a folder of OME-Zarr, ``.ozx`` of a file.

    Parameters
    ----------
    options : ApplyOptions
        Images, algorithm, engine. Results under the same key, and without ``overwrite`` outputs
        that are not as they were written, are left as they are.
    console : Console, optional
        Shows a line per image.

    Returns
    -------
    list of Applied
        One per image, in their order; a failed image does not stop the others.

    Raises
    ------
    InputError
        If there is no such algorithm, engine, file or folder, or two images have one name.

    Notes
    -----
    The images become a dataset in a hidden folder of `out`, and the ordinary run does the rest.
    Further outputs of a task are ``<name>-<socket>``; of labels come ``<name>-objects.csv``, and
    ``objects.csv`` of all images in `out`. What is there is replaced when the new result is whole.
    """
    console = console or Console(quiet=True)
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    candidates, models = candidates_for(options)
    names = [candidate.name for candidate in candidates]
    items, skipped = _named_images(options, candidates[0].task)
    for line in skipped:
        say(line)
    before = {item.name: recorded(options.out, item) for item in items}
    met = {str(found["algorithm"]) for found in before.values() if found} & set(names)
    engine = _engine(options, names, sorted(met), console, models)
    keys = _Keys({item.name: _fingerprint(item, options, candidates) for item in items}, engine)
    results = _there(items, before, set(names), keys, options)
    for line in _done(results.values(), len(items)):
        say(line)

    def finish(item: Item, done: Applied) -> None:
        """Keep and show the result of one image."""
        results[item.name] = done
        say(f"{len(results)} of {len(items)}: {done.line}")

    todo = [item for item in items if item.name not in results]
    with _workspace(options.out) as folder, progress(console, "running", minor=True) as step:
        cases = Cases(step, len(todo))
        chosen = _prepare(todo, folder, candidates, options, models, finish, cases)
        results |= _unable(chosen, engine, options, console, of=len(items), only=not results)
        for candidate in candidates:
            _run(candidate, chosen, folder, options, engine, keys, finish, cases)
    for line in (*summary(done := [results[item.name] for item in items]), *skipped):
        say(line)
    return done


def _named_images(options: ApplyOptions, task: str) -> tuple[list[Item], list[str]]:
    """Return the images under the names of their results, and lines on what is skipped."""
    items, skipped = own_images(options, task)
    taken = {item.name.casefold() for item in items}
    items = [named(item, options.out, options.part, taken) for item in items]
    _need_other(items, options.out)
    return items, skipped


def _done(results: Iterable[Applied], count: int) -> Iterator[str]:
    """Yield lines on results that are not made again."""
    statuses = [found.status for found in results]
    if there := statuses.count("there already"):
        yield f"{there} of {count} images are done already"
    yield from (found.line for found in results if found.message)


def _there(
    items: Sequence[Item],
    before: Mapping[str, Mapping[str, Any]],
    names: Collection[str],
    keys: "_Keys",
    options: ApplyOptions,
) -> dict[str, Applied]:
    """Return the results of earlier runs that hold still, or must not be replaced."""
    results: dict[str, Applied] = {}
    for item in items:
        found, done = before[item.name], None
        if found and found["algorithm"] in names:
            same = found["key"] == keys.of(item.name, found["algorithm"])
            done = there_already(item, options.out, found) if same else None
        if options.overwrite:
            done = None if done and done.message else done
        elif done is None:
            done = held(item, options.out, found, options.part)
        if done is not None:
            results[item.name] = done
    return results


def _need_other(items: Sequence[Item], out: Path) -> None:
    """Refuse a folder for the results in which one would overwrite its image."""
    for item in items:
        if output_of(out, item).resolve() == item.image.resolve():
            raise InputError(f"{out}: the output would overwrite {item.image}; name another folder")


def _fingerprint(item: Item, options: ApplyOptions, candidates: Sequence[Manifest]) -> str:
    """Return the digest of an image, its further files, and all that decides its algorithm."""
    files = {"main": item.image, **item.files}
    content: dict[str, object] = {
        "files": {
            slug: foreign_digest(content_of(path), path.parent) for slug, path in files.items()
        },
        "spacing": options.spacing,
        "part": asdict(options.part),
        **options.metadata,
    }
    if len(candidates) > 1:
        content["candidates"] = [choice_digest(candidate.name) for candidate in candidates]
    return value_digest(content)


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    """Give a hidden folder in that of the results, which no other command writes meanwhile."""
    with alone(out):
        sweep(out, depth=0)
        folder = out.resolve() / working_name("apply")
        folder.mkdir()
        try:
            yield folder
        finally:
            remove(folder)
            join_objects(out)


class _Keys(NamedTuple):
    """Keys of the results, by image and algorithm."""

    fingerprints: Mapping[str, str]
    engine: Engine

    def of(self, name: str, algorithm: str) -> str:
        """Return the key of the result of an image."""
        return job_key(self.fingerprints[name], algorithm, self.engine)


def _prepare(
    items: Sequence[Item],
    folder: Path,
    candidates: Sequence[Manifest],
    options: ApplyOptions,
    models: Models,
    finish: Callable[[Item, Applied], None],
    cases: Cases,
) -> dict[str, dict[Case, Item]]:
    """Make a case of each image, and return them by the algorithm that is chosen for them."""
    chosen: dict[str, dict[Case, Item]] = {}
    task = TASKS[candidates[0].task]
    for item in items:
        cases.inside("reading", item.name, None)
        case = Case(item.name, folder / "cases" / item.name)
        try:
            make_case(
                case, partial(load, item, options.spacing, options.metadata, options.part), {}
            )
            inputs = read_case(case.input(task), task)
            main = next(
                (with_given(v, task, inputs.volumes) for v in inputs.volumes.values()), None
            )
            facts = describe(main, inputs.values)
            algorithm = choose_algorithm(candidates, facts, models)
        except CytosuiteError as error:
            cases("reading", item.name, "failed")
            finish(item, failed(item, options.out, str(error)))
        else:
            chosen.setdefault(algorithm.name, {})[case] = item
    return chosen


def _engine(
    options: ApplyOptions,
    names: Sequence[str],
    met: Sequence[str],
    console: Console,
    models: Models,
) -> Engine:
    """Return the engine, ready for a single algorithm; else with the images of earlier results."""
    engine = start_engine(options, [] if names[1:] else names, console, models)
    if names[1:] and engine.name != "process":  # images are in the keys of results
        need(engine, options, met, console)
    return engine


def _unable(
    chosen: dict[str, dict[Case, Item]],
    engine: Engine,
    options: ApplyOptions,
    console: Console,
    *,
    of: int,
    only: bool,
) -> dict[str, Applied]:
    """Take out the algorithms that cannot run here, say so, and return the results of their images.

    The error is raised where a single one was chosen and, as `only` says, there is no other result.
    """
    results: dict[str, Applied] = {}
    for name in sorted(chosen):
        try:
            need(engine, options, [name], console)
        except InputError as error:
            if only and not chosen.keys() - {name}:
                raise
            only, left = False, chosen.pop(name).values()
            line = f"{len(left)} of {of} images: failed: {error}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
            results |= {item.name: failed(item, options.out, str(error)) for item in left}
    return results


def _run(
    algorithm: Manifest,
    chosen: Mapping[str, Mapping[Case, Item]],
    folder: Path,
    options: ApplyOptions,
    engine: Engine,
    keys: _Keys,
    finish: Callable[[Item, Applied], None],
    cases: Cases,
) -> None:
    """Run an algorithm on its cases, and write each result as it comes."""
    made = chosen.get(algorithm.name, {})
    home = folder / "results" / algorithm.name
    job = Job(algorithm, "", home, tuple(made), 0, algorithm.name in engine.models)

    def take(name: str, case_name: str, status: str) -> None:
        """Write the result of one image."""
        cases(name, case_name, status)
        case = Case(case_name, folder / "cases" / case_name)
        finish(made[case], write_applied(made[case], case, job, keys.of(case_name, name), options))

    limits, task = options.limits(algorithm), TASKS[algorithm.task]
    run_job(
        job, task, engine, limits, options.own_api(engine.name), take, cases.inside, keep_going=True
    )
