"""Packages, licences and models in an image archive, as CycloneDX."""

import io
import json
import tarfile

import pytest

from cytosuite.benchmark.catalog import algorithms
from cytosuite.benchmark.submission.contents import Package, contents, licences, write_contents
from cytosuite.benchmark.submission.repack import pack_image, repack
from cytosuite.manifest import ModelCard

DIGEST = "ab" * 32
STATUS = """\
Package: libz
Status: install ok installed
Version: 1:1.2+b1

Package: gone
Status: deinstall ok config-files
Version: 3

Package: old
Status: install ok installed
Version: 2
"""
FILES = {
    "opt/python/Some_Name-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: Some_Name\nVersion: 1.0\nLicense-Expression: MIT OR BSD-2-Clause\n"
        "License: not this\n\nLicense: nor this in the text\n"
    ),
    "opt/python/torch-2.1+cpu.dist-info/METADATA": (
        "Name: torch\nVersion: 2.1+cpu\nClassifier: License :: OSI Approved :: BSD License\n"
        "Classifier: Programming Language :: Python\n"
    ),
    "opt/python/short-1.dist-info/METADATA": "Name: short\nVersion: 1\nLicense: MIT\n",
    "opt/python/long-1.dist-info/METADATA": (
        "Name: long\nVersion: 1\nLicense: MIT License\n        Permission is granted\n"
    ),
    "opt/python/wheels.txt": f"{DIGEST}  torch-2.1%2Bcpu-cp311-cp311-linux_x86_64.whl\n",
    "var/lib/dpkg/status": STATUS,
    "usr/share/doc/libz/copyright": (
        "Format: x\n\nFiles: *\nLicense: Zlib\n\nFiles: a\nLicense: GPL-2+ or Artistic\n\n"
        "License: Zlib\n This is text, not a name, of it\nLicense: * no name\n"
    ),
    "usr/share/doc/old/copyright": "see /usr/share/common-licenses/GPL-2.\n",
    "usr/share/doc/none/copyright": "License: MIT\n",
}
FOUND = [
    Package("deb", "libz", "1:1.2+b1", ("GPL-2+ or Artistic", "Zlib")),
    Package("deb", "old", "2", ("GPL-2",)),
    Package("pypi", "long", "1", ()),
    Package("pypi", "short", "1", ("MIT",)),
    Package("pypi", "some-name", "1.0", ("MIT OR BSD-2-Clause",), expression=True),
    Package("pypi", "torch", "2.1+cpu", ("BSD License",), sha256=DIGEST),
]


def archive(folder, *layers):
    """Return an image archive with these files in its layers."""
    saved = folder / "saved.tar"
    members = {}
    for number, files in enumerate(layers):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            _add(tar, {name: text.encode() for name, text in files.items()})
        members[f"{number}/layer.tar"] = stream.getvalue()
    listed = [{"Config": "c.json", "Layers": list(members), "RepoTags": None}]
    members |= {"c.json": b'{"os": "linux"}', "manifest.json": json.dumps(listed).encode()}
    with tarfile.open(saved, "w") as tar:
        _add(tar, members)
    pack_image(repack(saved, folder, {}, 0), folder / "image.tar.gz", "name:1")
    return folder / "image.tar.gz"


def _add(tar, files):
    """Add files to a tar."""
    for name, content in files.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def test_packages_describe_themselves(tmp_path):
    assert contents(archive(tmp_path, FILES)) == FOUND


def test_packages_of_all_layers_count_and_removed_ones_do_not(tmp_path):
    first = {name: text for name, text in FILES.items() if "short" not in name}
    second = {name: text for name, text in FILES.items() if "short" in name}
    gone = {"opt/python/long-1.dist-info/.wh.METADATA": ""}
    found = contents(archive(tmp_path, first, second, gone))
    assert found == [package for package in FOUND if package.name != "long"]


def test_an_image_without_packages_has_none(tmp_path):
    assert contents(archive(tmp_path, {"bin/sh": "x"})) == []


def test_licences_of_pythons_packages_are_counted():
    assert licences(FOUND) == {
        "BSD License": 1,
        "MIT": 1,
        "MIT OR BSD-2-Clause": 1,
        "not stated": 1,
    }
    twice = [*FOUND, Package("pypi", "z", "1", ("MIT",))]
    assert next(iter(licences(twice).items())) == ("MIT", 2)


def card(**more):
    """Return a model card."""
    facts = {
        "name": "m",
        "version": "1.0.0",
        "algorithm": "watershed",
        "task": "segment",
        "authors": "a",
    }
    facts |= {"description": "d", "license": "CC0-1.0", "describes": {}}
    return ModelCard(**facts | more)


def written(folder, packages=FOUND, cards=()):
    """Return the bill of materials as text."""
    path = folder / "a.cdx.json"
    write_contents(path, algorithms()["watershed"], "0" * 64, packages, cards)
    return path.read_text()


def test_the_bill_names_every_package_and_model(tmp_path):
    found = json.loads(written(tmp_path, cards=[card(weights="w.safetensors", sha256=DIGEST)]))
    links = [each.get("purl") for each in found["components"]]
    assert links == [
        "pkg:deb/debian/libz@1:1.2%2Bb1",
        "pkg:deb/debian/old@2",
        "pkg:pypi/long@1",
        "pkg:pypi/short@1",
        "pkg:pypi/some-name@1.0",
        "pkg:pypi/torch@2.1%2Bcpu",
        None,
    ]
    by_name = {each["name"]: each for each in found["components"]}
    assert by_name["torch"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert by_name["m"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert by_name["some-name"]["licenses"] == [{"expression": "MIT OR BSD-2-Clause"}]
    assert [each["license"]["name"] for each in by_name["libz"]["licenses"]] == [
        "GPL-2+ or Artistic",
        "Zlib",
    ]
    assert "licenses" not in by_name["long"]


def test_the_bill_depends_on_the_contents_alone(tmp_path):
    (tmp_path / "b").mkdir()
    assert written(tmp_path) == written(tmp_path / "b")


def test_the_bill_is_valid_by_the_schema(tmp_path):
    schema = pytest.importorskip("cyclonedx.schema")
    json_validation = pytest.importorskip("cyclonedx.validation.json")
    validator = json_validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    good = written(tmp_path, cards=[card(), card(name="n", weights="w", sha256=DIGEST)])
    assert validator.validate_str(good) is None
    assert validator.validate_str(good.replace('"library"', '"book"')) is not None
