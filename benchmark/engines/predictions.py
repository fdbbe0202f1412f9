"""Predictions that were made elsewhere: an engine that takes in files in place of running."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import NamedTuple

from cytosuite.benchmark.engines.external import ExternalImage, external_manifest
from cytosuite.benchmark.engines.outcome import Ending, Engine, Limits, Outcome, Shown, voxels_of
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.words import Api
from cytosuite.errors import InputError
from cytosuite.files import Paths, TextMap, frozen, link, open_regular


@frozen
class Predictions(ExternalImage):
    """A folder of predictions as an algorithm: ``word`` is its name, ``image`` its state."""

    files: Paths = field(default_factory=dict)  # by case
    refused: TextMap = field(default_factory=dict)  # reasons, by case

    @property
    def origin(self) -> str:
        """Its source for readers."""
        return f"files in {self.word}, {self.image}"

    @property
    def manifest(self) -> AlgorithmManifest:
        """The manifest of an algorithm that nobody runs here."""
        words = f"Predictions of {len(self.files)} cases that were made elsewhere."
        return external_manifest(self, {}).model_copy(update={"description": words})


@dataclass(kw_only=True)
class FilesEngine(Engine):
    """Folders of predictions, by the names of their algorithms."""

    name: str = "files"
    api: Api = "exec"
    files: bool = True
    externals: Mapping[str, Predictions] = field(default_factory=dict)  # none of ours made them

    def identity(self, algorithm: str) -> str:
        """Return the state of all files: other files make results stale."""
        return self.externals[algorithm].identity

    @contextmanager
    def session(
        self,
        algorithm: str,
        workspace: Path,  # noqa: ARG002 - as of every engine
        limits: Limits,  # noqa: ARG002
        api: Api,  # noqa: ARG002
    ) -> Iterator["TakingIn"]:
        """Give the files of an algorithm; see `cytosuite.benchmark.engines.outcome.Engine`."""
        yield TakingIn(self.externals[algorithm])


class TakingIn(NamedTuple):
    """A session that puts the file of a case where a container would have written it."""

    predictions: Predictions
    startup_seconds: float = 0.0

    def predict(
        self,
        case_input: Path,
        output: Path,
        log: Path,  # noqa: ARG002 - as of every session
        shown: Shown = lambda _: None,  # noqa: ARG002
    ) -> Outcome:
        """Take in one case; see `cytosuite.benchmark.engines.outcome.Session`."""
        status, message = self._take(case_input, output)
        return Outcome(status, message=message)

    def _take(self, case_input: Path, output: Path) -> Ending:
        """Copy the file of a case into the output; return the status, and a reason if it is bad."""
        case = case_input.parents[1].name  # cases/<case>/inputs/<task>
        source = self.predictions.files.get(case)
        socket = self.predictions.task.main_output
        if source is None or socket is None:
            reason = self.predictions.refused.get(case, f"no file is named like {case}")
            return "missing output", f"{self.predictions.word}: {reason}"
        place = (output / socket.relative_path).with_suffix("")  # a folder, also of points
        place /= f"{case}{source.suffix}"  # the file may be named by bytes that are no UTF-8
        most = Limits(output_gib=inf).within(voxels_of(case_input))
        linked: Ending = (
            "bad output",
            f"{source.name}: a link is not followed; give the file itself",
        )
        if source.is_symlink():  # to the truth, or to an answer of others
            return linked
        try:
            if source.is_file() and source.stat().st_size > most.output_gib * 2**30:
                return most.output_exceeded
            if source.is_dir():  # an OME-Zarr, which becomes a file
                link(place, source)
            else:
                place.parent.mkdir(parents=True)
                with open_regular(source) as stream, place.open("wb") as copy:
                    if not os.path.samestat(os.fstat(stream.fileno()), source.lstat()):
                        return linked  # it has become one since
                    shutil.copyfileobj(stream, copy)
        except (InputError, OSError) as error:
            return "bad output", str(error).replace(str(source), source.name)
        return "ok", ""
