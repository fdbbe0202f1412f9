"""Write a saved image anew: equal sources give equal bytes, in a layout that all readers know."""

import io
import json
import re
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple

from cytosuite.benchmark.engines.images.blueprints import FILE_MODE, entry_of, gzipped
from cytosuite.errors import InputError
from cytosuite.files import Entries, TextSeq, file_digest, parse_json

ABOUT = ("architecture", "os", "variant")  # keys of the image's configuration that stay
INSIDE = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Labels", "User", "Volumes", "WorkingDir")
TIMES = ("mtime", "atime", "ctime", "LIBARCHIVE.creationtime")  # PAX records
Step = Callable[[int, int], None]  # bytes done, in all


class WrittenLayer(NamedTuple):
    """A layer of an image as it is written: an uncompressed tar, its size and its digest."""

    path: Path
    bytes: int
    digest: str


class Repacked(NamedTuple):
    """An image, ready to be packed: its layers, configuration and id."""

    layers: tuple[WrittenLayer, ...]  # from the base upwards
    config: bytes  # JSON
    id: str  # digest of the configuration: the platform refuses a known one


def repack(
    saved: Path,
    folder: Path,
    changes: Entries,
    newest_s: int,
    without: TextSeq = (),
    step: Step = lambda *_: None,
) -> Repacked:
    """Return the one image without traces of its build, times until `newest_s`; InputError else."""
    with tarfile.open(saved) as source:
        try:
            listed = _json(source, "manifest.json")
            if not isinstance(listed, list) or len(listed) != 1:
                raise InputError(f"{saved}: expected one image in the archive")
            manifest = listed[0]
            config = _json(source, manifest["Config"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{saved}: expected an image as of docker save: {error}") from None
        done, total, layers = 0, saved.stat().st_size, []
        for number, name in enumerate(manifest["Layers"]):
            stream = source.extractfile(name)
            if stream is None:
                raise InputError(f"{saved}: expected the layer {name}, found no file of this name")
            layers.append(_layer(stream, folder / f"{number}.tar", newest_s, without))
            step(done := done + layers[-1].bytes, max(done, total))
    settings = {
        key: value for key, value in config.get("config", {}).items() if key in INSIDE and value
    }
    labels = {**(settings.get("Labels") or {}), **changes.get("Labels", {})}
    about = {key: config[key] for key in ABOUT if config.get(key)}
    about["config"] = {**settings, **changes, "Labels": labels}
    about["created"] = datetime.fromtimestamp(newest_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]}
    text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return Repacked(tuple(layers), text, sha256(text).hexdigest())


def pack_image(image: Repacked, path: Path, tag: str, step: Step = lambda *_: None) -> None:
    """Write an image as ``.tar.gz`` in the layout of Docker before 25, which all readers know."""
    listed = {
        "Config": f"{image.id}.json",
        "RepoTags": [tag],
        "Layers": [f"{layer.digest}/layer.tar" for layer in image.layers],
    }
    total = sum(layer.bytes for layer in image.layers)
    done = 0
    with (
        gzipped(path) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as target,
    ):
        manifest = json.dumps([listed], sort_keys=True).encode()
        for name, text in (("manifest.json", manifest), (f"{image.id}.json", image.config)):
            target.addfile(entry_of(name, FILE_MODE, tarfile.REGTYPE, len(text)), io.BytesIO(text))
        for layer in {layer.digest: layer for layer in image.layers}.values():
            with layer.path.open("rb") as content:
                name = f"{layer.digest}/layer.tar"
                target.addfile(entry_of(name, FILE_MODE, tarfile.REGTYPE, layer.bytes), content)
            step(done := done + layer.bytes, total)


def _json(source: tarfile.TarFile, name: str) -> Any:  # noqa: ANN401 - any JSON
    stream = source.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file")
    return parse_json(stream.read().decode())


def _layer(stream: IO[bytes], path: Path, newest_s: int, without: TextSeq) -> WrittenLayer:
    """Write a layer anew, with bounded times and without some folders."""
    left_out = re.compile("|".join(rf"{re.escape(name.strip('/'))}(/|$)" for name in without))
    with (
        tarfile.open(fileobj=stream, mode="r|") as source,
        tarfile.open(path, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for entry in source:
            if without and left_out.match(entry.name.removeprefix("./")):
                continue
            entry.mtime = min(int(entry.mtime), newest_s)
            entry.uname = entry.gname = ""
            entry.pax_headers = {k: v for k, v in entry.pax_headers.items() if k not in TIMES}
            target.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
    return WrittenLayer(path, path.stat().st_size, file_digest(path))
