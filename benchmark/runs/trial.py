"""Runs an algorithm on inputs in memory, as its container would, unisolated."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cytosuite.benchmark.catalog.contract import Run
from cytosuite.benchmark.catalog.models import Models
from cytosuite.benchmark.engines.outcome import Limits, Session
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.runs.validate import BadOutput, check
from cytosuite.contract.interface import read_value, write_case
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import CytosuiteError
from cytosuite.files import Entries, Json
from cytosuite.formats import header, read

TIMEOUT_S = 120.0  # of a case of a few thousand voxels


class _FailedCaseError(CytosuiteError):
    """An algorithm fails a case, with the exit code of its process."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code or 1


@contextmanager
def running(manifest: AlgorithmManifest, folder: Path, models: Models) -> Iterator[Run]:
    """Give a function that runs the algorithm on inputs; its process starts with the first."""
    limits = Limits(memory_gib=manifest.resources.memory_gib, timeout_s=TIMEOUT_S)
    sessions: list[Session] = []
    with ExitStack() as stack:

        def run(inputs: Entries) -> Json:
            """Return the outputs that the algorithm writes for these inputs."""
            if not sessions:
                started = ProcessEngine(models=models).session(
                    manifest.name, folder / "session", limits, "invoke"
                )
                sessions.append(stack.enter_context(started))
            with TemporaryDirectory(dir=folder) as case:
                return _case(manifest, inputs, sessions[0], Path(case))

        yield run


def _case(manifest: AlgorithmManifest, inputs: Entries, session: Session, folder: Path) -> Json:
    """Return the outputs of one case, read from the files that the algorithm wrote."""
    task = TASKS[manifest.task]
    raw = folder / "output"
    raw.mkdir()
    write_case(folder / "input", task, "example", inputs)
    done = session.predict(folder / "input", raw, folder / "log.txt")
    if done.status != "ok":
        raise _FailedCaseError(f"{done.status}: {done.message}", done.exit_code)
    main = next(socket for socket in task.inputs if socket.slug in inputs)
    place = folder / "input" / main.relative_path
    geometry = header(place if main.is_file else place / "example.tif")
    outputs = {}
    try:
        for socket in task.outputs:
            if (path := check(raw, socket, geometry)) is not None:
                outputs[socket.slug] = read_value(path) if socket.is_file else read(path)
    except BadOutput as finding:
        raise _FailedCaseError(f"{finding.status}: {finding}", 1) from None
    return outputs
