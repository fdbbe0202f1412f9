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

OURS = "cytosuite"  # on package indices
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
    packages = (CALLED.get(name, name.replace("_", "-")) for name in names)
    extra_by_name = {name: _extra(name) for name in packages}
    chosen = ",".join(sorted({extra for extra in extra_by_name.values() if extra}))
    pip = [sys.executable, "-m", "pip", "install"]
    source, editable = _source()
    if source is None or None in extra_by_name.values():
        return shlex.join([*pip, *sorted(extra_by_name)])
    if editable and "networks" in chosen and Path(sys.prefix) == Path(source) / ".venv":
        return shlex.join(["make", "-C", source, "networks"])
    return shlex.join([*pip, *["-e"][:editable], f"{source}[{chosen}]" if chosen else source])


def extras() -> dict[str, list[str]]:
    """Return the packages that pip installs with us, "", and with each extra for users."""
    packages: dict[str, list[str]] = {}
    ours = _ours()
    for line in (ours and ours.requires) or []:
        match = re.fullmatch(r"([\w.-]+)[^;]*(?:;.*extra == [\"']([\w-]+)[\"'].*)?", line)
        if match and match[1] != OURS and match[2] not in ("dev", "peers"):
            packages.setdefault(match[2] or "", []).append(match[1])
    return packages


def _extra(name: str) -> str | None:
    """Return the extra of ours that brings a package, empty for none, None if we do not need it."""
    for extra, packages in extras().items():
        if name.lower() in map(str.lower, packages):
            return extra
    return None


def _ours() -> Distribution | None:
    """Return the record of pip on this library; a build leaves another one, without its origin."""
    records = list(distributions(name=OURS))
    return next(
        (record for record in records if record.read_text(ORIGIN)), records[0] if records else None
    )


def _source() -> tuple[str | None, bool]:
    """Return the checkout or wheel that we are installed from, or our name on an index; editable.

    None stands for a checkout or wheel that is gone, and for a copy that nobody installed.
    """
    ours = _ours()
    if ours is None or not (text := ours.read_text(ORIGIN)):
        return OURS if ours and ours.read_text("INSTALLER") else None, False
    origin = json.loads(text)
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # slow to load

    parts = urlsplit(origin.get("url", ""))
    path = Path(url2pathname(parts.path))
    there = parts.scheme == "file" and path.exists()
    return str(path) if there else None, bool(origin.get("dir_info", {}).get("editable"))
