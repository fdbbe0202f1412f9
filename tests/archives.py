"""Image archives of any layout, whole or broken on purpose, made without Docker."""

import gzip
import hashlib
import io
import json
import lzma
import tarfile
from dataclasses import dataclass, field
from types import MappingProxyType

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
GROUP = b"root:x:0:\nuser:x:1000:\n"
CONFIG = MappingProxyType(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "1000:1000",
            "Entrypoint": ["python3", "-m", "cytosuite.container"],
            "Cmd": ["exec"],
            "WorkingDir": "/opt/app",
            "Env": ["PATH=/usr/bin", "PYTHONUNBUFFERED=1"],
            "Labels": {"org.grand-challenge.api-method": "exec"},
        },
    }
)
GOOD = MappingProxyType(
    {"etc/": None, "etc/passwd": PASSWD, "etc/group": GROUP, "opt/": None, "opt/app/": None}
)


def member(name, content=b"", **facts):
    """Return a member of a tar: a folder where the name ends with a slash; facts as of TarInfo."""
    info = tarfile.TarInfo(name.rstrip("/"))
    info.mode = 0o755 if name.endswith("/") else 0o644
    info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
    info.size = len(content or b"")
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content or b""


def link(name, target):
    """Return a symbolic link."""
    return member(name, type=tarfile.SYMTYPE, linkname=target, size=0)


def tar(members):
    """Return a tar of members, or of contents by name."""
    if isinstance(members, dict):
        members = [member(name, content) for name, content in members.items()]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def sha(content):
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Image:
    """An image; `layers` are tars or what `tar` takes, `config` and `manifest` may be altered."""

    layers: list = field(default_factory=lambda: [GOOD])
    config: dict = field(default_factory=lambda: json.loads(json.dumps(dict(CONFIG))))
    tags: tuple = ("cytosuite/example:latest",)
    changed: dict = field(default_factory=dict)  # members by name, instead of or beside the others

    def configured(self, **settings):
        """Return this image with other settings of a container; None removes one."""
        inner = {**self.config["config"], **settings}
        self.config["config"] = {key: value for key, value in inner.items() if value is not None}
        return self

    def tars(self):
        """Return the layers as bytes."""
        return [layer if isinstance(layer, bytes) else tar(dict(layer)) for layer in self.layers]

    def text(self):
        """Return the bytes of the config."""
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in self.tars()]}
        return json.dumps({"rootfs": rootfs, **self.config}).encode()

    def docker(self):
        """Return the members as Docker before 25 orders them: the manifest is the last but one."""
        members = []
        names = []
        for number, layer in enumerate(self.tars()):
            folder = sha(b"%d" % number + layer)
            names.append(f"{folder}/layer.tar")
            members += [member(f"{folder}/"), member(f"{folder}/VERSION", b"1.0")]
            members += [member(f"{folder}/json", b'{"id": 1}'), member(names[-1], layer)]
        name = f"{sha(self.text())}.json"
        return self._with([member(name, self.text()), *members], name, names)

    def oci(self, pack=lambda data: data):
        """Return the members as Docker 25 and newer write them, perhaps with packed layers."""
        config = f"blobs/sha256/{sha(self.text())}"
        blobs = {f"blobs/sha256/{sha(layer)}": pack(layer) for layer in self.tars()}
        names = [f"blobs/sha256/{sha(layer)}" for layer in self.tars()]
        members = [member("blobs/"), member("blobs/sha256/"), member(config, self.text())]
        members += [member(name, layer) for name, layer in sorted(blobs.items())]
        index = {"schemaVersion": 2, "manifests": [{"digest": f"sha256:{sha(b'x')}"}]}
        members.append(member("index.json", json.dumps(index).encode()))
        return self._with([*members, member("oci-layout", b'{"v": 1}')], config, names)

    def skopeo(self):
        """Return the members as podman and skopeo write them: links to layers that are there."""
        layers = {f"{sha(layer)}.tar": layer for layer in self.tars()}
        names = [f"{sha(layer)}.tar" for layer in self.tars()]
        linked = [f"{sha(b'%d' % n)}/layer.tar" for n in range(len(names))]
        links = [link(at, f"../{name}") for at, name in zip(linked, names, strict=True)]
        name = f"{sha(self.text())}.json"
        members = [member(at, layer) for at, layer in layers.items()]
        return self._with([*members, *links, member(name, self.text())], name, linked)

    def _with(self, members, config, layers):
        """Return members with the manifest, and the changed ones in their places."""
        manifest = [{"Config": config, "RepoTags": list(self.tags), "Layers": layers}]
        members = [*members, member("manifest.json", json.dumps(manifest).encode())]
        members = [pair for pair in members if pair[0].name not in self.changed]
        more = {name: content for name, content in self.changed.items() if content is not None}
        return [*members, *(member(name, content) for name, content in more.items())]

    def save(self, path, layout="docker"):
        """Write the archive, compressed as its name says, and return its path."""
        content = tar(getattr(self, layout)())
        pack = {".gz": lambda data: gzip.compress(data, 1, mtime=0), ".xz": lzma.compress}
        path.write_bytes(pack.get(path.suffix, bytes)(content))
        return path
