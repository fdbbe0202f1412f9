"""Packages, licences and models in an image archive, as CycloneDX."""

import json

import pytest
from archives import Image, tar

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.submission.export import Package, contents, write_contents
from cytosuite.contract.manifest import ModelCard

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
    tars = [tar({name: text.encode() for name, text in files.items()}) for files in layers]
    return Image(tars).save(folder / "image.tar.gz")


def test_packages_describe_themselves(tmp_path):
    assert contents(archive(tmp_path, FILES)) == FOUND


def card(**more):
    """Return a model card."""
    facts = {"name": "m", "version": "1.0.0", "algorithm": "watershed", "task": "segment"}
    facts |= {"authors": "a", "description": "d", "license": "CC0-1.0", "describes": {}}
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


def test_the_bill_is_valid_by_the_schema(tmp_path):
    schema = pytest.importorskip("cyclonedx.schema")
    json_validation = pytest.importorskip("cyclonedx.validation.json")
    validator = json_validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    good = written(tmp_path, cards=[card(), card(name="n", weights="w", sha256=DIGEST)])
    assert validator.validate_str(good) is None
    assert validator.validate_str(good.replace('"library"', '"book"')) is not None
