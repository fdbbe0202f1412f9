"""Install this checkout, or extras of it, into the running Python: by uv, else by pip.

``python docker/install.py [EXTRA ...] [--device cpu|cuda]``. uv is that on PATH, else one that pip
installs; it looks where pip is configured to look. With networks comes the torch of the containers.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# PyTorch's index may be out of reach: a few seconds are enough to know.
ON_CPU_INDEX = ("--extra-index-url", CPU_INDEX, "--timeout", "5", "--retries", "1")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# Settings of pip by the variables of uv, which reads none of them.
SETTINGS = {
    "cert": "SSL_CERT_FILE",
    "constraint": "UV_CONSTRAINT",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "no-index": "UV_NO_INDEX",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
WITH_TORCH = {"dev", "networks", "peers"}  # the extras that bring torch


def environment() -> dict[str, str]:
    """Return the environment of uv: it looks where pip does, and takes any index's best version."""
    command = [*PIP, "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):  # variables win
        key, _, value = line.partition("=")
        if name := SETTINGS.get(key.rpartition(".")[2].removeprefix("default-")):
            separator = "," if name == "UV_FIND_LINKS" else " "
            settings[name] = separator.join(ast.literal_eval(value).split())
    return settings | os.environ


def uv() -> str | None:
    """Return the path of uv, which pip installs if need be; None where it cannot be had."""
    here = Path(sys.executable).with_name("uv")
    if path := shutil.which("uv"):
        return path
    if not here.exists():
        command = [*PIP, "install", "--quiet", "uv>=0.7"]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    return str(here) if here.exists() else None


def torch(device: str) -> list[str]:
    """Return the requirement of the torch that containers have; none where it is not built."""
    if device == "cpu" and sys.platform != "linux":
        return []  # the package index has no CUDA build there
    lock = (HERE / f"requirements-{device}.txt").read_text("utf-8")
    (version,) = re.findall(r"^torch==(\S+)", lock, re.MULTILINE)
    return [f"torch==={version}"]  # by two signs, 2.13.0+cpu would satisfy 2.13.0


def by_uv(tool: str, extras: Sequence[str], resolution: str) -> list[str]:
    """Return the command of uv; the checkout itself is built once, without extras."""
    packages = ["--requirements=pyproject.toml", *(f"--extra={extra}" for extra in extras)]
    command = [tool, "pip", "install", "--quiet", f"--python={sys.executable}"]
    return [*command, f"--resolution={resolution}", *(packages if extras else ["--editable=."])]


def by_pip(extras: Sequence[str]) -> list[str]:
    """Return the command of pip that installs the checkout with extras."""
    checkout = f".[{','.join(extras)}]" if extras else "."
    return [*PIP, "install", "--quiet", "--editable", checkout]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 installed, 1 not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("extras", nargs="*", metavar="EXTRA")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of torch")
    parser.add_argument("--lowest", action="store_true", help="versions of pyproject.toml, by uv")
    options = parser.parse_args(arguments)
    if (HERE.parent / "cytosuite" / "benchmark").is_file():
        sys.stderr.write(
            "cytosuite/benchmark: expected a link to a folder, found a file; clone with links: "
            "git config core.symlinks true, then git checkout .\n"
        )
        return 1
    extras, resolution = options.extras, "lowest-direct" if options.lowest else "highest"
    pins = torch(options.device) if WITH_TORCH & set(extras) else []
    backend = f"--torch-backend={'cpu' if options.device == 'cpu' else 'auto'}"
    tool = uv()
    if tool and _ends(by_uv(tool, extras, resolution), pins, [backend], environment()):
        return 0
    if options.lowest:
        return 1
    sys.stderr.write(f"{'uv failed' if tool else 'no uv'}: pip installs, which takes minutes\n")
    return int(not _ends(by_pip(extras), pins, ON_CPU_INDEX, dict(os.environ)))


def _ends(
    command: list[str],
    pins: Sequence[str],
    elsewhere: Sequence[str],
    surroundings: dict[str, str],
) -> bool:
    """Run a command with the pinned torch as configured, from elsewhere, or with any."""
    for more in ([*pins], [*pins, *elsewhere], []) if pins else ([],):
        words = [*command, *more]
        done = subprocess.run(
            words, env=surroundings, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            continue
        if pins and not more:
            sys.stderr.write(
                f"neither the package index nor {CPU_INDEX} has {pins[0]} for this "
                "Python: the package index's own build is installed (for CUDA: 2.8 GB to download, "
                "5.4 GB on disk)\n"
            )
        return True
    sys.stderr.write(done.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main())
