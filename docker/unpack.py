"""Unpack the wheels of a base, as its image gets them, into ``docker/packages/<base>``.

Run ``python3 docker/unpack.py --base slim`` after ``wheelhouse.py --base slim``; it needs the
standard library and pip, and is faster with uv. What no container uses at run time is left out:
tests, headers, sources of C, stubs, and the symbols of compiled libraries.
"""

import argparse
import shutil
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path, PurePosixPath

import install
import wheelhouse

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


def command(kind: str, folder: Path, here: Path) -> list[str]:
    """Return the command that installs the collected wheels of a base into a folder."""
    tool, wheels = install.uv(), here / "wheelhouse" / kind
    pins = [f"{name}=={pin.version}" for name, pin in wheelhouse.added(kind, here).items()]
    options = ["--quiet", "--no-index", "--no-deps", f"--find-links={wheels}", f"--target={folder}"]
    if tool is None:
        words = [*install.PIP, "--isolated", "install", "--no-compile"]
        return [*words, *options, *wheelhouse.TARGET, *pins]
    platform = ["--python-version=3.11", "--python-platform=x86_64-manylinux_2_28"]
    return [tool, "pip", "install", "--no-config", *options, *platform, *pins]


def unpack(kind: str, here: Path = wheelhouse.HERE) -> int:
    """Unpack the wheels of a base; return the number of files, which are written anew."""
    folder, wheels = here / "packages" / kind, sorted((here / "wheelhouse" / kind).iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(command(kind, folder, here), check=True, env=install.plain_environment())
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        if is_useless(PurePosixPath(path.relative_to(folder).as_posix())):
            path.unlink()
            continue
        count += 1
        if ".so" in path.suffixes:
            content = without_symbols(path.read_bytes())
            path.unlink()  # a hard link to uv's cache
            path.write_bytes(content)
    sums = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in wheels]
    (folder / f"wheels-{kind}.txt").write_text("".join(sums), "utf-8")
    return count


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", choices=("slim", "cpu", "cuda"), default="slim")
    try:
        count = unpack(parser.parse_args().base)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"docker/unpack.py: {error.cmd[0]} ended with code {error.returncode}\n")
        return 1
    sys.stdout.write(f"unpacked: {count} files\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
