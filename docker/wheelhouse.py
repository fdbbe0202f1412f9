"""Download the locked wheels of the containers to ``docker/wheelhouse/<device>`` on the host.

Run ``python3 docker/wheelhouse.py --device cpu``; it needs only the standard library and pip. The
wheels are those of CPython 3.11 on linux/amd64, independent of the running Python; with them an
image is built without a network. Present wheels are kept. The folder is complete when the program
ends with exit code 0.

With ``--install`` the locked torch is installed in the running Python instead, for networks that
run as plain processes. Both look for the CPU build where pip is configured to look, then on
PyTorch's own index.
"""

import argparse
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# PyTorch's index may be out of reach: a few seconds are enough to know.
ON_CPU_INDEX = ("--extra-index-url", CPU_INDEX, "--timeout", "5", "--retries", "1")
PIP = "pip==26.0.1"  # installs the wheels inside the build; not part of the final image
# Wheels name the oldest C library they accept; Debian 12 has 2.36, the newest tag in use is 2.28.
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
)


class WheelhouseError(Exception):
    """A wheel could not be collected; the message is the one line to show."""


def locked(text: str) -> dict[str, str]:
    """Return the versions in a lock of lines ``name==version`` by normalised name (PEP 503).

    Raises
    ------
    WheelhouseError
        If a line is neither a requirement, blank nor a comment.

    Examples
    --------
    >>> locked("Scikit_Image==0.26.0")
    {'scikit-image': '0.26.0'}
    """
    versions = {}
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        found = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line)
        if not found:
            raise WheelhouseError(f"a lock holds lines `name==version`, found {line!r}")
        versions[_normalised(found[1])] = found[2]
    return versions


def missing(versions: dict[str, str], names: Iterable[str]) -> list[str]:
    """Return as ``name==version`` the locked versions without a wheel among file names.

    Examples
    --------
    >>> missing({"torch": "2.13.0+cpu"}, ["torch-2.13.0-cp311-cp311-linux_x86_64.whl"])
    ['torch==2.13.0+cpu']
    """
    there = {wheel(name) for name in names}
    return [
        f"{name}=={version}" for name, version in versions.items() if (name, version) not in there
    ]


def wheel(name: str) -> tuple[str, str]:
    """Return the normalised distribution name and the version in a wheel's file name.

    Examples
    --------
    >>> wheel("Foo_Bar-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl")
    ('foo-bar', '2.13.0+cpu')
    """
    parts = name.replace("%2B", "+").split("-")
    return _normalised(parts[0]), parts[1] if len(parts) > 1 else ""


def command(requirements: Sequence[str], folder: Path) -> list[str]:
    """Return the pip command that downloads wheels for the containers' Python into a folder."""
    options = ["--only-binary=:all:", "--no-deps", "--python-version=3.11", "--implementation=cp"]
    options += ["--abi=cp311", "--abi=abi3", "--abi=none"]
    options += [f"--platform={platform}" for platform in PLATFORMS]
    return [sys.executable, "-m", "pip", "download", "--dest", str(folder), *options, *requirements]


def collect(device: str, here: Path = HERE) -> int:
    """Download the wheels that the lock of a device names; see `fill`.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.
    here : Path
        Folder of the locks; the wheels are in ``wheelhouse/<device>`` below it.
    """
    return fill(here / f"requirements-{device}.txt", here / "wheelhouse" / device)


def fill(lock: Path, folder: Path) -> int:
    """Download the wheels that a lock names into a folder; remove other versions.

    Parameters
    ----------
    lock : Path
        File of lines ``name==version``.
    folder : Path
        Made if it is missing.

    Returns
    -------
    int
        Number of wheels in the folder afterwards, pip's own among them.

    Raises
    ------
    WheelhouseError
        If pip fails, or a wheel is still missing, with the remedy.
    """
    versions = locked(lock.read_text("utf-8")) | locked(PIP)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        name, version = wheel(path.name)
        if versions.get(name) != version or not zipfile.is_zipfile(path):  # old lock, broken file
            path.unlink()
    wanted = missing(versions, (path.name for path in folder.iterdir()))
    if wanted:
        _say(f"{folder}: {len(versions) - len(wanted)} of {len(versions)} wheels are there")
        torch = [name for name in wanted if name.startswith("torch==")]
        for part in (torch, [name for name in wanted if name not in torch]):
            if part and not _found(command(part, folder), part):
                raise WheelhouseError(_advice(part))
    wanted = missing(versions, (path.name for path in folder.iterdir()))
    if wanted:
        raise WheelhouseError(f"{folder}: still missing after pip download: {', '.join(wanted)}")
    return len(versions)


def install_torch(device: str, here: Path = HERE) -> str:
    """Install the locked torch of a device in the running Python.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.
    here : Path
        Folder of the locks.

    Returns
    -------
    str
        One line for the user: the build that was installed, or that none was, and why.
    """
    version = locked((here / f"requirements-{device}.txt").read_text("utf-8"))["torch"]
    if device == "cpu" and sys.platform != "linux":
        return "torch: as the package index has it; outside of Linux that is no CUDA build"
    # Three signs: 2.13.0 alone would be satisfied by 2.13.0+cpu.
    wanted = [f"torch==={version}"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if _found([*pip, "--no-deps", *wanted], wanted):
        return f"torch {version}: the build that the containers have"
    if device == "cuda":
        return f"torch: no {version} for this Python, so the newest of the package index is taken"
    return (
        f"torch: neither the package index nor {CPU_INDEX} has {version} for this Python, so the "
        "package index's own build is taken (for CUDA: 3.3 GB to download, 6.5 GB on disk)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 complete, 1 not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--install", action="store_true", help="torch, in the running Python")
    parser.add_argument("--algorithm", help="its requirements.txt, into wheels/ of its folder")
    given = parser.parse_args(arguments)
    if given.install:
        _say(install_torch(given.device))
        return 0
    try:
        own = HERE.parent / "algorithms" / str(given.algorithm)
        count = (
            fill(own / "requirements.txt", own / "wheels")
            if given.algorithm
            else collect(given.device)
        )
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


def _advice(requirements: Sequence[str]) -> str:
    """Return the one line to show when pip did not find these requirements."""
    if any(name.startswith("torch==") for name in requirements):
        return (
            f"docker/wheelhouse: {requirements[0]} is neither in the package index nor in "
            f"{CPU_INDEX}; set PIP_EXTRA_INDEX_URL to an index that has it, or build with "
            "DEVICE=cuda"
        )
    return f"docker/wheelhouse: pip download failed for {', '.join(requirements)}; see above"


def _normalised(name: str) -> str:
    """Return a distribution's name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _say(line: str) -> None:
    """Write one line of progress."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
