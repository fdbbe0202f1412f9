"""Download the locked wheels of the containers to ``docker/wheelhouse/<base>`` on the host.

Run ``python3 docker/wheelhouse.py --base slim``; it needs only the standard library and pip. The
wheels are those of CPython 3.11 on linux/amd64, whatever Python runs, and of the lock's SHA-256.
``--check`` compares them with the package index, ``--lock`` renews the locks' checksums from it:
nothing is downloaded.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# PyTorch's index may be out of reach: a few seconds are enough to know.
ON_CPU_INDEX = ("--extra-index-url", CPU_INDEX, "--timeout", "5", "--retries", "1")
SOURCES = "sources.txt"  # of a folder: packages of which the index has source archives alone
ARCHIVE = ".tar.gz"
PIP = "requirements-pip.txt"  # installs the wheels inside the build; not part of the final image
HASHED = ("pip", "slim", "networks", "cuda")  # locks whose versions all have checksums
SIMPLE = "application/vnd.pypi.simple.v1+json"  # form of an index's page (PEP 691)
TIMEOUT_S = 60
# Wheels name the oldest C library they accept; Debian 12 has 2.36, the newest tag in use is 2.28.
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
)
# The containers' Python, as pip names it.
TARGET = (
    *("--only-binary=:all:", "--python-version=3.11", "--implementation=cp"),
    *("--abi=cp311", "--abi=abi3", "--abi=none"),
    *(f"--platform={platform}" for platform in PLATFORMS),
)


class WheelhouseError(Exception):
    """A wheel could not be collected; the message is the one line to show."""


class Pin(NamedTuple):
    """A locked version, and the SHA-256 that a wheel of it may have; without any, all pass."""

    version: str
    hashes: tuple[str, ...] = ()


def locked(lock: Path) -> dict[str, Pin]:
    """Return the versions in a lock and its included locks, by normalised name (PEP 503)."""
    pins: dict[str, Pin] = {}
    lines = (line.split("#")[0].strip() for line in lock.read_text("utf-8").splitlines())
    for line in filter(None, lines):
        if line.startswith("-r "):
            pins |= locked(lock.parent / line.removeprefix("-r ").strip())
            continue
        found = re.fullmatch(
            r"([A-Za-z0-9._-]+)==([^\s;]+)((?:\s+--hash=sha256:[0-9a-f]{64})*)", line
        )
        if not found:
            raise WheelhouseError(f"{lock}: a lock holds lines `name==version`, found {line!r}")
        hashes = tuple(re.findall(r"sha256:(\w+)", found[3]))
        pins[_normalised(found[1])] = Pin(found[2], hashes)
    return pins


def missing(pins: Mapping[str, Pin], names: Iterable[str]) -> list[str]:
    """Return as ``name==version`` the locked versions without a wheel among file names."""
    there = {wheel(name) for name in names}
    return [
        f"{name}=={pin.version}" for name, pin in pins.items() if (name, pin.version) not in there
    ]


def wheel(name: str) -> tuple[str, str]:
    """Return the normalised distribution name and the version in a wheel's file name.

    >>> wheel("Foo_Bar-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl")
    ('foo-bar', '2.13.0+cpu')
    """
    parts = name.replace("%2B", "+").split("-")
    return _normalised(parts[0]), parts[1] if len(parts) > 1 else ""


def command(requirements: Sequence[str], folder: Path) -> list[str]:
    """Return the pip command that downloads wheels for the containers' Python into a folder."""
    words = [sys.executable, "-m", "pip", "download", "--dest", str(folder), "--no-deps"]
    return [*words, *TARGET, *requirements]


def verify(pins: Mapping[str, Pin], folder: Path) -> None:
    """Check the SHA-256 of the wheels in a folder against a lock."""
    for path in sorted(folder.iterdir()):
        expected = pins[wheel(path.name)[0]].hashes
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if expected and found not in expected:
            raise WheelhouseError(
                f"{path}: expected the sha256 {' or '.join(expected)} of the lock, found {found}; "
                "delete the file and run again, and if it comes again ask another package index"
            )


def collect(base: str, here: Path = HERE) -> int:
    """Download the wheels that a base adds; see `fill`."""
    return fill(added(base, here), here / "wheelhouse" / base)


def added(base: str, here: Path = HERE) -> dict[str, Pin]:
    """Return the locked versions of the wheels that a base adds."""
    pins = locked(here / f"requirements-{base}.txt")
    if base != "slim":
        below = locked(here / "requirements-slim.txt")
        pins = {name: pin for name, pin in pins.items() if name not in below}
    return pins


def fill(pins: Mapping[str, Pin], folder: Path) -> int:
    """Download the wheels of a lock into a folder; return their number; else WheelhouseError."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        name, version = wheel(path.name)
        known = name in pins and pins[name].version == version
        if not known or not zipfile.is_zipfile(path):
            _say(f"{path}: removed, {'half a wheel' if known else 'not in the lock'}")
            path.unlink()
    verify(pins, folder)
    wanted = missing(pins, (path.name for path in folder.iterdir()))
    if wanted:
        _say(f"{folder}: {len(pins) - len(wanted)} of {len(pins)} wheels are there")
        torch = [name for name in wanted if name.startswith("torch==")]
        for part in (torch, [name for name in wanted if name not in torch]):
            if part and not _found(command(part, folder), part):
                raise WheelhouseError(
                    f"docker/wheelhouse: {part[0]} is neither in the package index nor in "
                    f"{CPU_INDEX}; set PIP_EXTRA_INDEX_URL to an index that has it, or build with "
                    "DEVICE=cuda"
                    if part is torch
                    else f"docker/wheelhouse: pip download failed for {', '.join(part)}; see above"
                )
        verify(pins, folder)
    wanted = missing(pins, (path.name for path in folder.iterdir()))
    if wanted:
        raise WheelhouseError(f"{folder}: still missing after pip download: {', '.join(wanted)}")
    return len(pins)


def build(sources: Path, folder: Path) -> dict[str, Pin]:
    """Build the wheels that a folder lacks, of archives with the SHA-256 of a lock; return pins.

    The host's setuptools builds them, and runs their setup: they may have no compiled part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pins = locked(sources)
    if missing(pins, (path.name for path in folder.iterdir())):
        _say(f"{folder}: building {', '.join(pins)} of their source archives")
        words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        words += ["--no-binary=:all:", "--require-hashes", f"--wheel-dir={folder}"]
        done = subprocess.run([*words, f"--requirement={sources}"], check=False)
        if done.returncode:
            raise WheelhouseError(f"{sources}: pip wheel failed, see above; it needs setuptools")
    for path in sorted(folder.iterdir()):
        if wheel(path.name)[0] in pins and not path.name.endswith("-none-any.whl"):
            path.unlink()
            raise WheelhouseError(f"{path}: has a compiled part; expected a wheel in the index")
    return {name: Pin(pin.version) for name, pin in pins.items()}


def renew(lock: Path) -> int:
    """Write the SHA-256 that the package index states behind each version in a lock."""
    pins, lines, count = locked(lock), [], 0
    for line in lock.read_text("utf-8").splitlines():
        name = _normalised(line.partition("==")[0])
        if not line.startswith("#") and name in pins:
            hashes = _stated(name, pins[name].version)
            line = " ".join([line.split()[0], *(f"--hash=sha256:{found}" for found in hashes)])
            count += 1
        lines.append(line)
    lock.write_text("\n".join(lines) + "\n", "utf-8")
    return count


def check(pins: Mapping[str, Pin]) -> int:
    """Return the sum of the sizes of all wheels [bytes]; WheelhouseError names each bad one."""
    total, lost = 0, []
    for name, pin in pins.items():
        if not pin.hashes:
            _say(f"{name}=={pin.version}: not looked up, the lock has no checksum of it")
            continue
        try:
            file = _locked_file(name, pin)
            size = _size(file["url"])
        except WheelhouseError as error:
            lost.append(str(error))
            continue
        total += size
        _say(f"{file['filename']}: {size / 1e6:.1f} MB, checksum as locked")
    if lost:
        raise WheelhouseError("\n".join(lost))
    return total


def runs_here(name: str) -> bool:
    """Return whether the containers' Python accepts a wheel, by the tags in its name (PEP 425)."""
    if not name.endswith(".whl"):
        return False
    python, abi, platform = (
        set(tag.split(".")) for tag in name.removesuffix(".whl").split("-")[-3:]
    )
    old = {f"cp3{minor}" for minor in range(2, 12)} if "abi3" in abi else set()
    return (
        bool(python & {"cp311", "py311", "py3"} | python & old)
        and bool(abi & {"cp311", "abi3", "none"})
        and bool(platform & {"any", *PLATFORMS})
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 complete, 1 not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", choices=("slim", "cpu", "cuda"), default="slim")
    parser.add_argument("--folder", help="its requirements.txt, into wheels/ in it")
    parser.add_argument("--check", action="store_true", help="look the wheels up, download none")
    parser.add_argument("--lock", action="store_true", help="renew the checksums in all locks")
    given = parser.parse_args(arguments)
    try:
        if given.lock:
            for name in HASHED:
                lock = HERE / f"requirements-{name}.txt"
                _say(f"{lock}: {renew(lock)} checksums")
            return 0
        own = HERE.parent / given.folder if given.folder else None
        pins = locked(own / "requirements.txt") | locked(HERE / PIP) if own else {}
        if given.check:
            pins = pins or added(given.base)
            _say(f"{check(pins) / 1e6:.1f} MB to download")
            return 0
        if own and (own / SOURCES).is_file():
            pins |= build(own / SOURCES, own / "wheels")
        count = fill(pins, own / "wheels") if own else collect(given.base)
    except WheelhouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(f"wheelhouse complete: {count} wheels")
    return 0


def _found(pip: Sequence[str], requirements: Sequence[str]) -> bool:
    """Run pip, for a CPU build of torch a second time with PyTorch's index; False if it fails."""
    cpu = any(name.startswith("torch==") and name.endswith("+cpu") for name in requirements)
    tries = [pip, [*pip, *ON_CPU_INDEX]] if cpu else [pip]
    errors = None if not cpu else subprocess.DEVNULL  # an index without it is no error yet
    return any(not subprocess.run(words, check=False, stderr=errors).returncode for words in tries)


def _stated(name: str, version: str) -> list[str]:
    """Return the SHA-256 of a version's wheels for the containers, as the index states them."""
    index, page = _page(name)
    hashes = {file["hashes"].get("sha256", "") for file in _wheels(page, name, version)}
    if not hashes or "" in hashes:
        raise WheelhouseError(f"{index}/{name}/: no sha256 of a wheel of {name}=={version}")
    return sorted(hashes)


def _locked_file(name: str, pin: Pin) -> Mapping[str, Any]:
    """Return the entry of the wheel, or archive, that pip would take, of the lock's SHA-256."""
    index, page = _page(name)
    files = _wheels(page, name, pin.version) or [
        file for file in page["files"] if file["filename"].endswith(f"-{pin.version}{ARCHIVE}")
    ]
    if not files:
        raise WheelhouseError(f"{index}/{name}/: no wheel of {name}=={pin.version}")
    known = [file for file in files if file["hashes"].get("sha256", "") in pin.hashes]
    if not known:
        found = files[0]["hashes"].get("sha256", "none")
        raise WheelhouseError(
            f"{index}/{name}/: expected the sha256 {' or '.join(pin.hashes)} of the lock for "
            f"{name}=={pin.version}, found {found}; ask another package index (PIP_INDEX_URL)"
        )
    order = {platform: place for place, platform in enumerate(PLATFORMS)}

    def place(file: Mapping[str, Any]) -> int:
        """Return how far from the best a file's platform is."""
        tags = file["filename"].removesuffix(".whl").split("-")[-1].split(".")
        return min(order.get(tag, len(order)) for tag in tags)

    best = min(known, key=place)
    return {**best, "url": urljoin(f"{index}/{name}/", best["url"])}


def _wheels(page: Mapping[str, Any], name: str, version: str) -> list[Mapping[str, Any]]:
    """Return the entries of a version's wheels for the containers in the page of an index."""
    return [
        file
        for file in page["files"]
        if wheel(file["filename"]) == (name, version) and runs_here(file["filename"])
    ]


def _page(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return the address of the package index, and its page of a package."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    request = Request(f"{index}/{name}/", headers={"Accept": SIMPLE})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            page: Mapping[str, Any] = json.load(answer)
            return index, page
    except (URLError, ValueError) as error:
        raise WheelhouseError(
            f"{index}/{name}/: no page of a package index as JSON (PEP 691): {error}; set "
            "PIP_INDEX_URL to another index"
        ) from None


def _size(address: str) -> int:
    """Return the size of a file of the index [bytes], which is not downloaded."""
    try:
        with urlopen(Request(address, method="HEAD"), timeout=TIMEOUT_S) as answer:
            return int(answer.headers["Content-Length"])
    except (URLError, TypeError, ValueError) as error:
        raise WheelhouseError(f"{address}: the index does not hand it out: {error}") from None


def _normalised(name: str) -> str:
    """Return a distribution's name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _say(line: str) -> None:
    """Write one line of progress."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
