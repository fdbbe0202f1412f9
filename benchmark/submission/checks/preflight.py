"""Checks before an upload: of an image archive, a tarball, or the output of a case."""

import re
from itertools import islice
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.submission.checks.rules import SEVERITIES, Faults, Finding, finding
from cytosuite.contract.tasks import Task
from cytosuite.files.tarball import (
    ArchiveError,
    Budget,
    members,
    opened_tar,
)

UploadKind = Literal["image", "tarball", "output"]
FIRST = 8  # members that tell the kind
FIRST_BYTES = 2**24  # expanded bytes that tell the kind
MEMBER = re.compile(
    r"(\./)?(manifest\.json|repositories|oci-layout|index\.json|blobs(/.*)?|sha256:.*"
    r"|[0-9a-f]{64}(\.json|\.tar|/.*)?)"
)


def preflight(path: Path, task: Task | None = None) -> list[Finding]:
    """Return the findings of a platform about an upload, errors first."""
    faults: Faults
    kind = upload_kind(path)  # only its checks are loaded: readers are large
    file = path.name
    if kind == "output":
        from cytosuite.benchmark.submission.checks.outputs import accept_outputs

        faults = accept_outputs(path, task)
        file = ""
    elif kind == "image":
        from cytosuite.benchmark.submission.checks.image import check_image

        faults = check_image(path)
    else:
        from cytosuite.benchmark.submission.checks.tarball import check_tarball

        faults = check_tarball(path)
    findings = [finding(file, *fault) for fault in faults]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def upload_kind(path: Path) -> UploadKind:
    """Return the kind of a file or folder, by its first members; tarball if it has none."""
    if path.is_dir():
        return "output"
    try:
        with opened_tar(path, Budget(FIRST_BYTES)) as stream:
            names = (member.name for member in islice(members(stream), FIRST))
            return "image" if any(map(MEMBER.fullmatch, names)) else "tarball"
    except ArchiveError as error:
        return "tarball" if error.rule in {"archive.bomb", "archive.damaged"} else "image"
