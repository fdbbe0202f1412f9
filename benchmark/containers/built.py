"""Which images were built here: a tag is a name that anybody can take, an id is the content's."""

import re
from pathlib import Path

from cytosuite.files import read_text


def build_file(root: Path, tag: str, suffix: str) -> Path:
    """Return the path of a file about the builds of a tag: ``.log``, or ``.ids``, a line each."""
    name = re.sub(r"[^a-z0-9._-]+", "-", tag.removeprefix("cytosuite/"))
    return root / "runs" / "build" / f"{name}{suffix}"


def remember(root: Path, tag: str, identity: str) -> None:
    """Add an image to those that were built here under a tag."""
    if not is_built(root, tag, identity):
        path = build_file(root, tag, ".ids")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{identity}\n")  # at once: other builders may add theirs


def is_built(root: Path, tag: str, identity: str) -> bool:
    """Return whether an image was built here under a tag, by whatever daemon."""
    path = build_file(root, tag, ".ids")
    return path.is_file() and identity in read_text(path).splitlines()
