"""Check an algorithm against its contract, as plain processes and in seconds."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, pick
from cytosuite.benchmark.contract import Check, Run, checks
from cytosuite.benchmark.engines.outcome import Limits, Session
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.validate import BadOutput, check
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import read_json
from cytosuite.formats import header, read
from cytosuite.interface import write_case
from cytosuite.manifest import AlgorithmManifest, read_algorithm
from cytosuite.tasks import TASKS

TIMEOUT_S = 120.0  # of a case of a few thousand voxels


class _FailedCaseError(CytosuiteError):
    """An algorithm fails a case, with the exit code of its process."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code or 1


def check_algorithm(name: str, console: Console) -> bool:
    """Check an algorithm, with one line per check, and return whether it passes.

    Parameters
    ----------
    name : str
        Folder in ``algorithms``.
    console : Console
        Shows the lines.

    Raises
    ------
    InputError
        If there is no such folder.

    Notes
    -----
    The checks are those of `cytosuite.benchmark.contract`; the algorithm runs as its container
    would, by reading and writing files, without the container's isolation.
    """
    folders = (ROOT / "algorithms").glob("*/")
    pick("algorithm", [name], [folder.name for folder in folders if folder.name[:1] not in "._"])
    found: list[Check] = []

    def show(done: Check) -> None:
        """Keep and show the result of one check."""
        found.append(done)
        console.print(done.line, highlight=False, markup=False, soft_wrap=True)

    title = "manifest: algorithm.toml"
    try:
        manifest = read_algorithm(ROOT / "algorithms" / name / "algorithm.toml")
    except InputError as error:
        show(Check(title, "FAIL", str(error)))
        return False
    show(Check(title))
    with TemporaryDirectory() as folder, _running(manifest, Path(folder)) as run:
        for done in checks(ROOT, manifest, run):
            show(done)
    failed = sum(done.result == "FAIL" for done in found)
    passed = sum(done.result == "pass" for done in found)
    console.print(f"{name}: {passed} passed, {failed} failed", highlight=False, markup=False)
    return failed == 0


@contextmanager
def _running(manifest: AlgorithmManifest, folder: Path) -> Iterator[Run]:
    """Give a function that runs the algorithm on inputs; its process starts with the first."""
    limits = Limits(memory_gib=manifest.resources.memory_gib, timeout_s=TIMEOUT_S)
    sessions: list[Session] = []
    with ExitStack() as stack:

        def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
            """Return the outputs that the algorithm writes for these inputs."""
            if not sessions:
                place = folder / "session"
                started = ProcessEngine().session(manifest.name, place, limits, "invoke")
                sessions.append(stack.enter_context(started))
            with TemporaryDirectory(dir=folder) as case:
                return _case(manifest, inputs, sessions[0], Path(case))

        yield run


def _case(
    manifest: AlgorithmManifest, inputs: Mapping[str, Any], session: Session, folder: Path
) -> dict[str, Any]:
    """Return the outputs of one case, read from the files that the algorithm wrote."""
    task, raw = TASKS[manifest.task], folder / "output"
    raw.mkdir()
    write_case(folder / "input", task, "example", inputs)
    done = session.predict(folder / "input", raw, folder / "log.txt")
    if done.status != "ok":
        raise _FailedCaseError(f"{done.status}: {done.message}", done.exit_code)
    main = next(socket for socket in task.inputs if socket.slug in inputs)
    geometry = header(folder / "input" / main.relative_path / "example.tif")
    outputs: dict[str, Any] = {}
    try:
        for socket in task.outputs:
            if (path := check(raw, socket, geometry)) is not None:
                outputs[socket.slug] = read_json(path) if socket.kind == "json" else read(path)
    except BadOutput as finding:
        raise _FailedCaseError(f"{finding.status}: {finding}", 1) from None
    return outputs
