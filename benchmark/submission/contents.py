"""List the contents of an image archive: packages, licences and models, as CycloneDX.

Nothing is asked of the machine that built the image: Python's and Debian's packages describe
themselves inside it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from cytosuite.benchmark.submission.checks.archive import read_archive
from cytosuite.errors import plain
from cytosuite.files import write_json
from cytosuite.manifest import AlgorithmManifest, ModelCard

PYTHON = re.compile(r".*\.dist-info/METADATA")
DEBIAN = re.compile(r"/var/lib/dpkg/(status|status\.d/[^/]+)")
COPYRIGHT = re.compile(r"/usr/share/doc/([^/]+)/copyright")
WHEELS = re.compile(r"/opt/python/wheels\.txt")
NAME = r"[A-Za-z0-9][\w.+/-]*"
LICENCE = re.compile(
    rf"^License:[ \t]*({NAME}(?:,? (?:and|or|and/or|with) [\w.+/ -]+)?)[ \t]*$", re.MULTILINE
)
COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])")
CLASSIFIER = "License :: OSI Approved :: "
UNKNOWN = "not stated"
LONGEST = 80  # letters of a licence's name


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package in an image.

    Parameters
    ----------
    kind : str
        ``pypi`` or ``deb``.
    name, version : str
    licences : tuple of str
        As the package states them: all that occur in it; none where it does not say.
    expression : bool
        Whether the one licence is an SPDX expression by the package's own word.
    sha256 : str
        Of the wheel it was installed from; empty where that is not recorded.
    """

    kind: str
    name: str
    version: str
    licences: tuple[str, ...]
    expression: bool = False
    sha256: str = ""


def contents(archive: Path) -> list[Package]:
    """Return the packages in an image archive, sorted.

    Parameters
    ----------
    archive : Path
        Of any image with Python's or Debian's packages.

    Raises
    ------
    InputError
        If it is no image archive.
    """
    wanted = (PYTHON, DEBIAN, COPYRIGHT, WHEELS)
    found = read_archive(archive, lambda path: any(rule.fullmatch(path) for rule in wanted)).files()
    wheels = _wheels(found)
    return sorted({*_python(found, wheels), *_debian(found)})


def licences(packages: Sequence[Package]) -> dict[str, int]:
    """Return how many of Python's packages state each licence, the most frequent first.

    Examples
    --------
    >>> licences([Package("pypi", "a", "1", ("MIT",)), Package("pypi", "b", "1", ())])
    {'MIT': 1, 'not stated': 1}
    """
    ours = (package for package in packages if package.kind == "pypi")
    names = (name for package in ours for name in package.licences or (UNKNOWN,))
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def write_contents(
    path: Path,
    manifest: AlgorithmManifest,
    identity: str,
    packages: Sequence[Package],
    cards: Sequence[ModelCard],
) -> None:
    """Write the bill of materials of an image, CycloneDX 1.6 in JSON.

    Parameters
    ----------
    path : Path
        The file.
    manifest : AlgorithmManifest
        Of the algorithm in the image.
    identity : str
        Digest of the image's configuration.
    packages : sequence of Package
    cards : sequence of ModelCard
        Models in the image.

    References
    ----------
    ECMA-424, CycloneDX Bill of Materials.
    """
    image = {
        "type": "container",
        "bom-ref": f"image:{identity}",
        "name": f"cytosuite/{manifest.name}",
        "version": manifest.version,
        "licenses": [{"license": {"id": manifest.license}}],
        "hashes": [{"alg": "SHA-256", "content": identity}],
    }
    write_json(
        path,
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_OID, identity)}",
            "version": 1,
            "metadata": {"component": image},
            "components": [*map(_component, packages), *map(_model, cards)],
        },
    )


def _component(package: Package) -> dict[str, Any]:
    """Return a package as CycloneDX describes it."""
    place = "deb/debian" if package.kind == "deb" else package.kind
    link = f"pkg:{place}/{package.name}@{package.version.replace('+', '%2B')}"
    known: dict[str, Any] = {"type": "library", "bom-ref": link, "purl": link}
    known |= {"name": package.name, "version": package.version}
    if package.expression:
        known["licenses"] = [{"expression": package.licences[0]}]
    elif package.licences:
        known["licenses"] = [{"license": {"name": name}} for name in package.licences]
    if package.sha256:
        known["hashes"] = [{"alg": "SHA-256", "content": package.sha256}]
    return known


def _model(card: ModelCard) -> dict[str, Any]:
    """Return a model as CycloneDX describes it."""
    known: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{card.name}@{card.version}",
        "name": card.name,
        "version": card.version,
        "description": card.description,
        "licenses": [{"license": {"name": card.license}}],
    }
    if card.sha256:
        known["hashes"] = [{"alg": "SHA-256", "content": card.sha256}]
    return known


def _python(files: Mapping[str, bytes], wheels: Mapping[tuple[str, str], str]) -> Iterator[Package]:
    """Yield Python's packages, as their metadata describe them."""
    for path in filter(PYTHON.fullmatch, files):
        about = HeaderParser().parsestr(_text(files[path]))
        name = re.sub(r"[-_.]+", "-", about.get("Name", "")).lower()
        version = about.get("Version", "")
        expression = about.get("License-Expression", "")
        approved = [
            line.removeprefix(CLASSIFIER)
            for line in about.get_all("Classifier", [])
            if line.startswith(CLASSIFIER)
        ]
        stated = about.get("License", "").strip()
        # A whole licence as text is no name of one.
        short = [stated] if stated and len(stated) <= LONGEST and "\n" not in stated else []
        found = tuple(plain(text) for text in ([expression] if expression else approved or short))
        digest = wheels.get((name, version), "")
        yield Package("pypi", name, version, found, bool(expression), digest)


def _debian(files: Mapping[str, bytes]) -> Iterator[Package]:
    """Yield Debian's packages that are installed, with the licences of their copyright files."""
    texts = {found[1]: _text(files[path]) for path in files if (found := COPYRIGHT.fullmatch(path))}
    for path in filter(DEBIAN.fullmatch, files):
        for block in _text(files[path]).split("\n\n"):
            about = HeaderParser().parsestr(block.strip())
            name, version = about.get("Package", ""), about.get("Version", "")
            if not name or not about.get("Status", "installed").endswith("installed"):
                continue
            text = texts.get(name, "")
            stated = LICENCE.findall(text) or COMMON.findall(text)  # an older form names files
            yield Package("deb", name, version, tuple(sorted({each.strip() for each in stated})))


def _wheels(files: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    """Return the digests of the wheels that an image was made of, by name and version."""
    found = {}
    for path in filter(WHEELS.fullmatch, files):
        for line in _text(files[path]).splitlines():
            digest, _, file = line.partition("  ")
            name, _, rest = file.replace("%2B", "+").partition("-")
            found[re.sub(r"[-_.]+", "-", name).lower(), rest.partition("-")[0]] = digest
    return found


def _text(content: bytes) -> str:
    """Return a file's text, with a sign in place of bytes that are none."""
    return content.decode("utf-8", "replace")
