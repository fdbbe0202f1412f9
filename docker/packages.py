"""Put the packages of a lock into a folder, as the images that stand on them get them.

``python docker/packages.py LOCK FOLDER [--below LOCK]`` takes what the lock below does not hold,
for CPython 3.11 on linux/amd64, by uv, else by pip: both hold each file against the SHA-256 of the
lock; the digest of what has none there is printed. What no container uses at run time is left out:
tests, headers, sources of C, stubs, and the symbols of compiled libraries. ``--check`` looks all up
in the package index and installs nothing; ``--lock`` renews the checksums of the lock.
"""

import argparse
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import install

SOURCES = "sources.txt"  # beside a lock: packages of which the index has source archives alone
UNPINNED, BUILT = 1, 2  # parts of a lock: without a checksum, of source archives
REPLACED = "replaced.txt"  # in the folder: versions of the layer below that the lock replaces
PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)((?:\s+--hash=sha256:[0-9a-f]{64})*)")
# The containers' Python, as uv and pip name it. Debian 12 has the C library 2.36, wheels ask for
# 2.28 at most.
OF_UV = ("--python-version=3.11", "--python-platform=x86_64-manylinux_2_28")
OF_PIP = (
    *("--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    *("--platform=manylinux2014_x86_64", "--platform=linux_x86_64", "--platform=any"),
)
MARKERS = {"extra": "", "python_version": "3.11", "python_full_version": "3.11.2"}
MARKERS |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
MARKERS |= {"platform_machine": "x86_64", "implementation_name": "cpython"}
TORCH = (
    "torch/include/",
    "torch/test/",
    "torch/share/cmake/",
    "torch/bin/protoc",
    "torch/bin/test_",
)
OF_INSTALLER = {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"}
OF_C = {".c", ".h", ".pyx", ".pxd", ".pyi"}
# ELF, 64 bit, little endian: offsets in the header, and of a program header.
MAGIC, SEGMENTS, SECTIONS, COUNTS, START, SIZE = b"\x7fELF\x02\x01", 32, 40, 54, 8, 32


class PackagesError(Exception):
    """Packages could not be installed; the message is the one line to show."""


class Pin(NamedTuple):
    """A locked version, and the SHA-256 that a file of it may have; without any, all pass."""

    version: str
    hashes: tuple[str, ...] = ()

    def line(self, name: str) -> str:
        """Return the line of a lock."""
        return " ".join([f"{name}=={self.version}", *(f"--hash=sha256:{h}" for h in self.hashes)])


def plain(name: str) -> str:
    """Return a distribution's name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: Path | None) -> dict[str, Pin]:
    """Return the versions in a lock and its included locks by normalised name; of no lock none."""
    pins: dict[str, Pin] = {}
    if lock is None:
        return pins
    for line in _lines(lock):
        if line.startswith("-r "):
            pins |= locked(lock.parent / line.removeprefix("-r ").strip())
            continue
        match = PINNED.fullmatch(line)
        if not match:
            raise PackagesError(f"{lock}: a lock holds lines `name==version`, found {line!r}")
        pins[plain(match[1])] = Pin(match[2], tuple(re.findall(r"sha256:(\w+)", match[3])))
    return pins


def added(lock: Path, below: Path | None) -> dict[str, Pin]:
    """Return the versions of a lock that the one below it does not hold."""
    there = locked(below)
    return {name: pin for name, pin in locked(lock).items() if there.get(name) != pin}


def built(lock: Path) -> dict[str, Pin]:
    """Return the versions whose wheels are built here, of source archives."""
    sources = lock.parent / SOURCES
    return locked(sources) if sources.is_file() else {}


def is_useless(name: PurePosixPath) -> bool:
    """Return whether no container uses a file, by its name below the packages."""
    package, large = name.parts[0], name.parts[0] in {"torch", "triton", "nvidia"}
    return (
        package == "bin"
        or name.name in OF_INSTALLER
        or name.suffix == ".a"
        or str(name).startswith(TORCH)
        or name.match("skimage/data/*.png")
        or ("tests" in name.parts[:-1] and not large and package != "monai")
        or (name.suffix in OF_C and not large and name.name != "__init__.pyi")
        or (package == name.name and name.suffix == ".py" and name.stem in sys.stdlib_module_names)
    )


def without_symbols(content: bytes) -> bytes:
    """Return a shared library up to the end of what is loaded: no symbols for debuggers."""
    if not content.startswith(MAGIC):
        return content
    (first,) = struct.unpack_from("<Q", content, SEGMENTS)
    length, count = struct.unpack_from("<HH", content, COUNTS)
    end = first + length * count
    for header in range(first, end, length):
        (start,), (size,) = (struct.unpack_from("<Q", content, header + n) for n in (START, SIZE))
        end = max(end, start + size)
    short = bytearray(content[:end])
    struct.pack_into("<Q", short, SECTIONS, 0)  # there is no table of sections any more
    struct.pack_into("<HHH", short, COUNTS + 4, 0, 0, 0)
    return bytes(short)


def commands(
    pins: Mapping[str, Pin], sources: Collection[str], listed: Path, target: Path | None
) -> Iterator[list[list[str]]]:
    """Yield for each part of a lock the commands that install it, the best first.

    ``listed``: a folder for lists; without a target the index is asked what would come into it.
    """
    parts = [
        {name: pin for name, pin in pins.items() if pin.hashes and name not in sources},
        {name: pin for name, pin in pins.items() if not pin.hashes},
        {name: pin for name, pin in pins.items() if name in sources},
    ]
    tool = install.uv()
    for number, part in enumerate(parts):
        if not part:
            continue
        path = listed / f"{number}.txt"
        path.write_text("".join(f"{pin.line(name)}\n" for name, pin in part.items()), "utf-8")
        words = ["install", "--no-deps", f"--requirement={path}", f"--target={target or listed}"]
        words += ["--dry-run"] if target is None else ["--quiet"]
        words += ["--require-hashes"] if all(pin.hashes for pin in part.values()) else []
        if number == BUILT:
            words += [f"--no-binary={name}" for name in part] if tool else ["--no-binary=:all:"]
        else:
            words += ["--only-binary=:all:"]
        if tool is None:
            words += ["--no-compile", "--ignore-installed", *(() if number == BUILT else OF_PIP)]
            words, elsewhere = [*install.PIP, *words], install.ON_CPU_INDEX
        else:
            words, elsewhere = [tool, "pip", *words, *OF_UV], ("--torch-backend=cpu",)
        yield [words, [*words, *elsewhere]] if number == UNPINNED else [words]


def fetch(lock: Path, below: Path | None, target: Path | None) -> str:
    """Install what a lock adds into a folder, or look it up; return what the installer says."""
    pins, said = added(lock, below), []
    surroundings = install.environment() | {"PIP_CONSTRAINT": "/dev/null"}
    surroundings.pop("UV_CONSTRAINT", None)  # a constraint has no checksum
    with tempfile.TemporaryDirectory() as listed:
        for tries in commands(pins, built(lock), Path(listed), target):
            for words in tries:
                done = subprocess.run(
                    words, env=surroundings, capture_output=True, text=True, check=False
                )
                if done.returncode == 0:
                    break
            else:
                line = " ".join(done.stderr.split())
                raise PackagesError(f"{lock}: {line}{_remedy(pins, words)}")
            said.append(done.stdout + done.stderr)
    return "".join(said)


def unpack(lock: Path, below: Path | None, folder: Path) -> dict[str, str]:
    """Write the packages that a lock adds into a new folder; return digests of the unpinned."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fetch(lock, below, folder)
    check(lock, below, folder)
    for path in sorted(folder.rglob("*"), reverse=True):  # folders after what they hold
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
            continue
        if is_useless(PurePosixPath(path.relative_to(folder).as_posix())):
            path.unlink()
            continue
        if ".so" in path.suffixes:
            content = without_symbols(path.read_bytes())
            path.unlink()  # a hard link to uv's cache
            path.write_bytes(content)
    for path in folder.glob("*.dist-info/RECORD"):  # programs of bin/ name this machine's Python
        lines = path.read_text("utf-8").splitlines(keepends=True)
        left = [line for line in lines if (folder / line.partition(",")[0]).is_file()]
        path.unlink()
        path.write_text("".join(left), "utf-8")
    there, pins = locked(below), added(lock, below)
    if old := [f"{name}=={there[name].version}\n" for name in pins if name in there]:
        (folder / REPLACED).write_text("".join(old), "utf-8")
    return {
        f"{package.name}=={package.version}": record_digest(package)
        for package in distributions(path=[str(folder)])
        if not pins[plain(package.name)].hashes
    }


def record_digest(package: Distribution) -> str:
    """Return the SHA-256 of the names and checksums of the files in a package."""
    lines = (package.read_text("RECORD") or "").splitlines()
    kept = (line for line in lines if not is_useless(PurePosixPath(line.partition(",")[0])))
    return sha256("\n".join(sorted(kept)).encode()).hexdigest()


def check(lock: Path, below: Path | None, folder: Path) -> None:
    """Refuse packages that need others than the locks hold, or were compiled on this machine."""
    from packaging.requirements import Requirement  # of the environment that `make` sets up

    pins, sources = locked(below) | locked(lock), built(lock)
    for package in distributions(path=[str(folder)]):
        for need in map(Requirement, package.requires or ()):
            pin = pins.get(plain(need.name))
            applies = need.marker is None or need.marker.evaluate(MARKERS)
            if applies and not (pin and need.specifier.contains(pin.version, prereleases=True)):
                there = f"{need.name}=={pin.version}" if pin else "none"
                raise PackagesError(
                    f"{lock}: {package.name} {package.version} needs {need}, found {there}"
                )
        pure = "Root-Is-Purelib: true" in (package.read_text("WHEEL") or "")
        if plain(package.name) in sources and not pure:
            place = lock.parent / SOURCES
            raise PackagesError(f"{place}: {package.name} has a compiled part; expected a wheel")


def renew(lock: Path) -> None:
    """Write the checksums that the package index states into a lock, by uv."""
    lines = lock.read_text("utf-8").splitlines(keepends=True)
    head = [line for line in lines if line.startswith(("#", "-r "))]
    pins = [f"{line.split()[0]}\n" for line in lines if PINNED.match(line)]
    if (tool := install.uv()) is None:
        raise PackagesError(f"{lock}: its checksums are renewed by uv; pip install uv")
    command = [tool, "pip", "compile", "-", "--quiet", "--no-deps", "--no-header"]
    command += ["--no-annotate", "--generate-hashes", *OF_UV]
    surroundings, asked = install.environment(), "".join(pins)
    done = subprocess.run(
        command, input=asked, env=surroundings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagesError(f"{lock}: {' '.join(done.stderr.split())}")
    lock.write_text("".join(head) + done.stdout, "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 complete, 1 not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lock", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", help="is written anew")
    parser.add_argument("--below", type=Path, metavar="LOCK", help="of the layer below")
    parser.add_argument("--check", action="store_true", help="look all up, install nothing")
    parser.add_argument("--lock", action="store_true", dest="renew", help="renew the checksums")
    options = parser.parse_args(arguments)
    try:
        if options.renew:
            renew(options.lock)
        elif options.check:
            sys.stdout.write(fetch(options.lock, options.below, None))
        elif options.folder is None:
            parser.error("expected a folder, --check or --lock")
        else:
            digests = unpack(options.lock, options.below, options.folder)
            sys.stdout.write("".join(f"{name} {digest}\n" for name, digest in digests.items()))
    except PackagesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _lines(lock: Path) -> Iterator[str]:
    """Yield the lines of a lock without comments, continued lines as one."""
    text = lock.read_text("utf-8").replace("\\\n", " ")
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    yield from (" ".join(line.split()) for line in lines if line)


def _remedy(pins: Mapping[str, Pin], words: Sequence[str]) -> str:
    """Return what to do where the index lacks the CPU build of torch."""
    lacks = "+cpu" in pins.get("torch", Pin("")).version and "--require-hashes" not in words
    return (
        f"; the CPU build of torch is neither in the package index nor in {install.CPU_INDEX}: "
        "set PIP_EXTRA_INDEX_URL to an index that has it, or build with DEVICE=cuda"
        if lacks
        else ""
    )


if __name__ == "__main__":
    sys.exit(main())
