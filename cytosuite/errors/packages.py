"""Packages of others that are not installed: one line with the command that installs them."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cytosuite.errors import InputError

ORIGIN = "direct_url.json"  # where pip notes the checkout or wheel
CALLED = {"PIL": "pillow", "pynvml": "nvidia-ml-py", "skimage": "scikit-image"}  # by others


@contextmanager
def needed_by(who: str) -> Iterator[None]:
    """Turn a package of others that the block cannot import into an `InputError`."""
    try:
        yield
    except ImportError as error:
        if not (line := lacking(error, who)):
            raise
        raise InputError(line) from None


def lacking(error: ImportError, who: str = "this command") -> str:
    """Return the line for a package that cannot be imported, empty for a module of ours."""
    name = (error.name or "").partition(".")[0]
    if name in ("", "cytosuite"):
        return ""
    if isinstance(error, ModuleNotFoundError):
        return needs(who, [name])
    return f"{who} needs {name}, which cannot be imported ({error}): {install([name])}"


def needs(who: str, names: Iterable[str]) -> str:
    """Return the line for packages that are not installed."""
    names = sorted(names)
    return f"{who} needs {', '.join(names)}, not installed here: {install(names)}"


def install(names: Iterable[str]) -> str:
    """Return the command that installs packages by import name; ours from checkout or wheel."""
    known = (CALLED.get(name, name.replace("_", "-")) for name in names)
    wanted = {name: _extra(name) for name in known}
    extras = ",".join(sorted({extra for extra in wanted.values() if extra}))
    pip = [sys.executable, "-m", "pip", "install"]
    source, editable = _source()
    if source is None or None in wanted.values():
        return shlex.join([*pip, *sorted(wanted)])
    if editable and "networks" in extras and Path(sys.prefix) == source / ".venv":
        return shlex.join(["make", "-C", str(source), "networks"])
    return shlex.join([*pip, *["-e"][:editable], f"{source}[{extras}]" if extras else str(source)])


def _extra(name: str) -> str | None:
    """Return the extra of ours that brings a package, empty for none, None if we do not need it."""
    ours = _ours()
    for line in (ours and ours.requires) or []:
        found = re.fullmatch(r"([\w.-]+)[^;]*(?:;.*extra == [\"'](\w+)[\"'].*)?", line)
        if found and found[1].lower() == name.lower() and found[2] not in ("dev", "peers"):
            return found[2] or ""
    return None


def _ours() -> Distribution | None:
    """Return the record of pip on this library; a build leaves another one, without its origin."""
    found = list(distributions(name="cytosuite"))
    return next((one for one in found if one.read_text(ORIGIN)), found[0] if found else None)


def _source() -> tuple[Path | None, bool]:
    """Return the checkout or wheel that pip installed us from, if it is there, and if editable."""
    ours = _ours()
    found = json.loads((ours and ours.read_text(ORIGIN)) or "{}")
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # slow to load

    parts = urlsplit(found.get("url", ""))
    path = Path(url2pathname(parts.path))
    there = parts.scheme == "file" and path.exists()
    return path if there else None, bool(found.get("dir_info", {}).get("editable"))
