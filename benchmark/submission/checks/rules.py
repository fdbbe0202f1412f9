"""The rules of an upload: what a platform refuses, what fails there, what surprises.

Sources: C is the platform's check of an image in order (`components/tasks.py` of
grand-challenge.org, 2026), S its launcher (`sagemaker_shim/models.py`), P its importer of images
(panimg 0.18), D its documentation; M was measured with Docker 20.10 and panimg.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

from cytosuite.errors import plain

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
SAVE = "write it with `docker save IMAGE | gzip -n > IMAGE.tar.gz`"
UPLOAD = "upload the file that was written first, whole"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an upload.

    Parameters
    ----------
    id : str
        Short and stable, for programs.
    severity : str
        ``error``: the platform refuses it, or no case can succeed; ``warning``: it is likely to
        fail or to surprise; ``note``: good to know.
    title : str
        The rule in words.
    fix : str
        What to do where it is broken.
    source : str
        See the module.
    """

    id: str
    severity: Severity
    title: str
    fix: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule.

    Parameters
    ----------
    rule : str
        Its id.
    severity : str
        ``error``, ``warning`` or ``note``.
    where : str
        File, and the place in it.
    text : str
        What was found.
    fix : str
        What to do.
    """

    rule: str
    severity: Severity
    where: str
    text: str
    fix: str

    def as_json(self) -> dict[str, str]:
        """Return it for machines."""
        return asdict(self)


def finding(rule: str, where: object, text: str) -> Finding:
    """Return a finding in plain words.

    Parameters
    ----------
    rule : str
        Its id.
    where : object
        File, and the place in it; of a stranger, like `text`.
    text : str
        What was found.
    """
    known = RULES[rule]
    return Finding(rule, known.severity, plain(str(where), 300), plain(text, 600), known.fix)


_ARCHIVE = (
    Rule("archive.cut", "error", "the archive is whole", SAVE, "C1"),
    Rule("archive.damaged", "error", "the archive can be read to its end", SAVE, "C1"),
    Rule("archive.bomb", "error", "the archive has a size that images have", SAVE, "C1"),
    Rule("archive.compression", "error", "the archive is plain or of gzip or xz", SAVE, "C1"),
    Rule("archive.suffix", "error", "its name ends with .tar, .tar.gz or .tar.xz", SAVE, "C1"),
    Rule("archive.content", "warning", "its name ends as its content is", "rename it", "C1"),
    Rule("archive.manifest-missing", "error", "there is a manifest.json", SAVE, "C2"),
    Rule("archive.manifest-invalid", "error", "the manifest names config and layers", SAVE, "C3"),
    Rule(
        "archive.several-images",
        "error",
        "the archive holds one image",
        "save one image alone; two tags of one image are allowed",
        "C3",
    ),
    Rule("archive.config-missing", "error", "the config is there and is JSON", SAVE, "C4"),
    Rule("archive.config-name", "error", "the config's name has 64 hex digits", SAVE, "C4"),
    Rule("archive.config-digest", "warning", "the config's name is its digest", SAVE, "C4, C8"),
    Rule("archive.layer-missing", "error", "each layer of the manifest is there", SAVE, "C9"),
    Rule("archive.layer-damaged", "error", "each layer can be read to its end", SAVE, "C9"),
    Rule("archive.layer-altered", "error", "layers are those of the config", SAVE, "C9"),
    Rule("archive.index", "error", "index.json is JSON", SAVE, "C9"),
    Rule("archive.no-end", "warning", "the archive ends with blocks of zeros", UPLOAD, "M"),
    Rule("archive.twice", "error", "each member has one plain name of its own", SAVE, "M"),
    Rule(
        "archive.attestation",
        "warning",
        "no attestations of the builder",
        "build with --provenance=false --sbom=false",
        "cytomine/cytomine#902",
    ),
    Rule(
        "archive.layout",
        "note",
        "the layout is that of Docker before 25",
        "where an importer refuses it, save with an older Docker or `skopeo copy`",
        "rse-grand-challenge#3195",
    ),
    Rule("archive.tags", "note", "the image has one tag", "save it by the tag to hand in", "M"),
    Rule("archive.plain", "note", "the archive is compressed", "gzip -n it: less to upload", "D"),
    Rule(
        "archive.size",
        "error",
        "the archive is smaller than 128 GB",
        "leave out data, caches and weights; these can be uploaded apart",
        "uploads/models.py",
    ),
    Rule(
        "archive.size-unverified",
        "note",
        "the archive is smaller than 2 GB",
        "verify the account on the platform first",
        "uploads/models.py",
    ),
    Rule(
        "archive.repeated",
        "warning",
        "the image was not exported before",
        "change something, or upload nothing: the platform refuses an image it has",
        "C8",
    ),
)
_USER = "set USER to a name in /etc/passwd or to numbers, like `USER 1000:1000`"
_LABEL = "LABEL org.grand-challenge.api-method="
_IMAGE = (
    Rule("image.user-root", "error", "the user is not root", _USER, "C5"),
    Rule("image.user-grammar", "error", "the user is name, uid, name:group or uid:gid", _USER, "S"),
    Rule("image.user-unknown", "error", "the user stands in /etc/passwd", _USER, "S"),
    Rule("image.group-unknown", "error", "the group stands in /etc/group", _USER, "S"),
    Rule("image.user-is-root", "warning", "the user's number is not 0", _USER, "S"),
    Rule(
        "image.user-no-home",
        "warning",
        "a user that is a number stands in /etc/passwd",
        "add it with useradd, or set HOME yourself: the platform sets none",
        "S",
    ),
    Rule(
        "image.architecture",
        "error",
        "the architecture is amd64",
        "build with --platform linux/amd64",
        "C6",
    ),
    Rule("image.os", "error", "the system is linux", "build with --platform linux/amd64", "C6"),
    Rule("image.config", "error", "the settings have the types of OCI", SAVE, "C5"),
    Rule("image.api-label-missing", "note", "a label says the interface", f"{_LABEL}exec", "C7"),
    Rule(
        "image.api-label-value",
        "error",
        "the interface is exec or invoke",
        f"{_LABEL}exec, or invoke for a web server on port 4743",
        "C7",
    ),
    Rule(
        "image.api-label-mode",
        "error",
        "the label says what the command does",
        "the command is the label: exec or invoke",
        "S",
    ),
    Rule(
        "image.no-command", "error", "there is a command", "set ENTRYPOINT in its exec form", "D, S"
    ),
    Rule(
        "image.no-entrypoint",
        "warning",
        "the command is an entry point",
        "set ENTRYPOINT in its exec form: others run the image with arguments of their own",
        "D",
    ),
    Rule(
        "image.shell",
        "note",
        "the entry point is no shell",
        "set ENTRYPOINT in its exec form: a shell does not pass the signal of the time limit on",
        "D",
    ),
    Rule(
        "image.workdir-missing",
        "warning",
        "WORKDIR is a folder in the layers",
        "make it in the Dockerfile",
        "D",
    ),
    Rule(
        "image.workdir-unreadable",
        "warning",
        "the user can enter WORKDIR and read in it",
        "chmod a+rX it, and the folders above",
        "fishyscapes#54",
    ),
    Rule(
        "image.env-reserved",
        "warning",
        "no variable begins with GRAND_CHALLENGE_",
        "choose another name: the platform removes it",
        "S",
    ),
    Rule(
        "image.env-ld-library-path",
        "warning",
        "the image does without LD_LIBRARY_PATH",
        "write the folders into /etc/ld.so.conf.d and run ldconfig: the platform may drop it",
        "S",
    ),
    Rule(
        "layer.hidden",
        "warning",
        "nothing lies where the platform puts or clears files",
        "move it to /opt/app: /input, /output, /tmp and /opt/ml/model are hidden or emptied",
        "D, S",
    ),
    Rule("layer.git", "warning", "no .git folder", "add .git to .dockerignore", "D"),
    Rule(
        "layer.private-key",
        "warning",
        "no private key, in any layer",
        "add it to .dockerignore and replace the key: who has the image has it",
        "D",
    ),
    Rule(
        "layer.env-file",
        "warning",
        "no .env file, in any layer",
        "add it to .dockerignore, and change what it keeps secret",
        "D",
    ),
)
_PACK = "tar -czf model.tar.gz -C model ."
_TARBALL = (
    Rule("tarball.gzip", "error", "the tarball is compressed by gzip", _PACK, "D, S"),
    Rule("tarball.suffix", "error", "its name ends with .tar.gz", "rename it", "D"),
    Rule("tarball.empty", "error", "there are files in it", _PACK, "S"),
    Rule("tarball.outside", "error", "names lead nowhere else", _PACK, "S"),
    Rule("tarball.link", "error", "links stay within it", "pack the files, not links", "S"),
    Rule("tarball.device", "error", "files, folders and links alone", _PACK, "S"),
    Rule("tarball.absolute", "warning", "names are relative", _PACK, "S"),
    Rule("tarball.twice", "warning", "each file has a name of its own", _PACK, "S"),
    Rule(
        "tarball.parent",
        "warning",
        "the files are not all in one folder",
        f"pack the content, not the folder: {_PACK}",
        "D",
    ),
    Rule("tarball.unreadable", "note", "all may read the files", "chmod -R a+rX first", "D"),
    Rule("tarball.card", "error", "model cards are valid", "pack the card of the model", "own"),
    Rule("tarball.weights-missing", "error", "the weights of each card are there", _PACK, "own"),
    Rule(
        "tarball.weights-altered",
        "error",
        "weights are those of their cards",
        "train or publish the model again, or take the file back",
        "own",
    ),
)
_OUTPUT = (
    Rule("output.missing", "error", "each declared output is there", "write it, always", "D"),
    Rule(
        "output.several",
        "error",
        "one image per folder",
        "write one; clear leftovers",
        "components/backends/base.py",
    ),
    Rule(
        "output.too-many",
        "error",
        "at most 1000 files",
        "write one file",
        "components/backends/base.py",
    ),
    Rule(
        "output.no-image",
        "error",
        "the image is MetaImage or TIFF",
        "write .mha, or .tif with a resolution",
        "P",
    ),
    Rule("output.broken", "error", "the image can be read", "write it whole, then rename it", "P"),
    Rule(
        "output.resolution",
        "error",
        "a TIFF says its voxel size in cm or inches",
        "write XResolution, YResolution and ResolutionUnit CENTIMETER, or .mha",
        "P, rse-panimg#107",
    ),
    Rule(
        "output.colour",
        "error",
        "the image is grey, RGB, RGBA or YCbCr",
        "write a grey image, minimum is black",
        "P",
    ),
    Rule(
        "output.dimensions",
        "error",
        "a MetaImage has 2, 3 or 4 dimensions",
        "write one volume",
        "P",
    ),
    Rule("output.key", "error", "keys of the header have their form", "leave the key out", "P"),
    Rule(
        "output.flat",
        "warning",
        "a volume is a MetaImage",
        "write .mha: of a TIFF the platform shows the first page, the others as resolutions",
        "P",
    ),
    Rule("output.inch", "note", "the voxel size is in cm", "write CENTIMETER: not inches", "M"),
    Rule("output.pixels", "warning", "the pixels can be read", "write the file whole", "M"),
    Rule("output.not-finite", "warning", "the values are finite", "no NaN, no infinity", "M"),
    Rule("output.spacing", "note", "the voxel size is given", "write ElementSpacing", "M"),
    Rule("output.extra", "warning", "no other file beside the image", "leave it out", "P"),
    Rule("output.undeclared", "note", "declared outputs alone", "it is ignored", "D"),
    Rule("output.link", "warning", "no links", "write a copy", "S"),
    Rule("output.json", "error", "JSON in UTF-8", "write it whole, with json.dump", "D"),
    Rule(
        "output.json-number",
        "warning",
        "the numbers are finite",
        "leave undefined values out: the platform takes NaN as null",
        "components/backends/base.py",
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for rule in (*_ARCHIVE, *_IMAGE, *_TARBALL, *_OUTPUT)}
)
