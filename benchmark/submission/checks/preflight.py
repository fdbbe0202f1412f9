"""Checks before an upload: of an image archive, a tarball, or the output of a case."""

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.submission.checks.rules import SEVERITIES, Finding
from cytosuite.benchmark.submission.checks.stream import (
    ArchiveError,
    Budget,
    Forward,
    compression,
    expanded,
    legible,
    members,
)
from cytosuite.errors import InputError
from cytosuite.files import open_regular
from cytosuite.tasks import Task

UploadKind = Literal["image", "tarball", "output"]
FIRST, FIRST_BYTES = 8, 2**24  # members and expanded bytes that tell the kind
MEMBER = re.compile(
    r"(\./)?(manifest\.json|repositories|oci-layout|index\.json|blobs(/.*)?|sha256:.*"
    r"|[0-9a-f]{64}(\.json|\.tar|/.*)?)"
)


def preflight(path: Path, task: Task | None = None) -> list[Finding]:
    """Return the findings of a platform about an upload, the grave ones first.

    Parameters
    ----------
    path : Path
        An image archive, a tarball of weights or ground truth, or the output folder of a case.
    task : Task or None
        Of the output folder.

    Raises
    ------
    InputError
        If it is none of them.
    """
    found = [*_findings(path, task)]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _findings(path: Path, task: Task | None) -> Iterable[Finding]:
    """Return the findings; only the checks of its kind are loaded, readers of images are large."""
    kind = upload_kind(path)
    if kind == "output":
        from cytosuite.benchmark.submission.checks.accept import accept_outputs

        return accept_outputs(path, task)
    if kind == "image":
        from cytosuite.benchmark.submission.checks.image import check_image

        return check_image(path)
    from cytosuite.benchmark.submission.checks.tarball import check_tarball

    return check_tarball(path)


def upload_kind(path: Path) -> UploadKind:
    """Return the kind of a file or folder, by its first members.

    Raises
    ------
    InputError
        If it is neither an archive nor a folder.
    """
    if path.is_dir():
        return "output"
    with open_regular(path) as source:
        head = source.read(8)
        source.seek(0)
        try:
            with legible():
                stream = Forward(expanded(source, compression(head)), Budget(FIRST_BYTES))
            names = (member.name for member in islice(members(stream), FIRST))
            return "image" if any(map(MEMBER.fullmatch, names)) else "tarball"
        except ArchiveError as error:
            if error.rule == "archive.damaged":
                raise InputError(
                    f"{path}: expected an image archive, a tarball or an output folder; {error}"
                ) from None
            return "tarball" if error.rule == "archive.bomb" else "image"
