import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.packages import runtime_digest
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.images.blueprints import (
    algorithm_blueprint,
    foreign_images,
    image_digest,
    image_tag,
)
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import need_docker, podman_host
from cytosuite.files import write_text

docker_errors = pytest.importorskip("docker.errors")

MANIFEST = """
name = "thresholder"
version = "1.2.3"
title = "Thresholder"
description = "Says that bright is inside."
task = "segment"
authors = ["A. Author"]
license = "Apache-2.0"
"""
FILES = {
    "cytosuite/__init__.py": "",
    "cytosuite/container.py": "pass",
    "cytosuite/segmentation/objects.py": "pass",
    "cytosuite/metrics/metric.py": "pass",
    "cytosuite/training/loop.py": "pass",
    "algorithms/__init__.py": "",
    "algorithms/thresholder/algorithm.toml": MANIFEST,
    "algorithms/thresholder/predict.py": "pass",
    "algorithms/thresholder/README.md": "How it works.",
    "algorithms/thresholder/training/losses.py": "pass",
    "algorithms/thresholder/kernels/compiled.so": "machine code",
    "algorithms/other/predict.py": "pass",
    "weights/thresholder/small.json": "{}",
    "Dockerfile": "FROM ${BASE}",
    "docker/base.Dockerfile": "ARG BASE_IMAGE=some:image\nFROM ${BASE_IMAGE}",
    "docker/requirements-slim.txt": "numpy==1",
    "docker/requirements-networks.txt": "monai==1",
    "docker/requirements-cpu.txt": "-r requirements-slim.txt\n-r requirements-networks.txt\ntorch==1+cpu",
    "docker/requirements-cuda.txt": "-r requirements-slim.txt\n-r requirements-networks.txt\ntorch==1",
    "docker/packages.py": "",
    "docker/packages/slim/numpy/array.py": "packages",
    "docker/packages/cpu/torch/nn.py": "large packages",
}


class Daemon:
    """The part of the SDK's client that a build needs; it records the requests."""

    def __init__(self):
        self.stock = {}
        self.ids = {}
        self.digests = {}
        self.builds = []
        self.answer = [{"stream": "Step 1/2 : FROM x\n"}, {"stream": "Step 2/2 : RUN y\n"}]
        self.images = SimpleNamespace(get=self.get, pull=self.pull)
        self.api = SimpleNamespace(build=self.build, images=self.list, tag=self.tag)

    @property
    def last(self):
        """The options of the newest build."""
        return self.builds[-1]

    def get(self, tag):
        if tag not in self.stock:
            raise docker_errors.ImageNotFound("no such image")
        return SimpleNamespace(
            id=self.ids.get(tag, f"id of {tag}"),
            labels=self.stock[tag],
            attrs={"RepoDigests": self.digests.get(tag, [])},
            tag=lambda name, tag_: self.tag(f"id of {tag}", name, tag_),
        )

    def list(self, filters):
        key, value = filters["label"].split("=", 1)  # one: podman finds nothing by two
        return [
            {"Id": self.get(tag).id, "RepoTags": [tag], "Labels": labels}
            for tag, labels in self.stock.items()
            if labels.get(key) == value
        ]

    def tag(self, identity, name, tag):
        self.stock[f"{name}:{tag}"] = self.stock[identity.removeprefix("id of ")]

    def pull(self, name):
        raise docker_errors.APIError(f"cannot reach the registry of\n{name}")

    def build(self, **options):
        with tarfile.open(fileobj=options.pop("fileobj")) as archive:
            options["files"] = {
                entry.name: archive.extractfile(entry).read() if entry.isfile() else None
                for entry in archive
            }
        self.builds.append(options)
        self.stock[options["tag"]] = options["labels"]
        return iter(self.answer)


@pytest.fixture
def root(tmp_path):
    """Return a small checkout."""
    for name, text in FILES.items():
        write_text(tmp_path / name, text)
    return tmp_path


@pytest.fixture
def daemon():
    """Return a daemon that has the image to start from."""
    client = Daemon()
    client.stock["some:image"] = {}
    return client


@pytest.fixture
def lines():
    """Return the lines that a builder says."""
    return []


@pytest.fixture
def builder(root, daemon, lines):
    """Return a builder of the small checkout."""
    return Builder(daemon, root, say=lines.append)


def _state(builder):
    return builder.state(algorithm_blueprint(builder.root, "thresholder"))


def _change(root, name):
    write_text(root / name, "changed==2" if name.endswith(".txt") else "changed")


def test_every_file_of_the_image_changes_the_digest(root):
    for changed in (
        "cytosuite/container.py",
        "cytosuite/segmentation/objects.py",
        "Dockerfile",
        "algorithms/thresholder/predict.py",
        "algorithms/thresholder/Dockerfile",
        "algorithms/thresholder/more/new.py",
        "weights/thresholder/small.json",
        "weights/thresholder/new.safetensors",
        "docker/base.Dockerfile",
        "docker/requirements-slim.txt",
        "docker/packages.py",
    ):
        before = image_digest(root, "thresholder")
        _change(root, changed)
        assert image_digest(root, "thresholder") != before, changed


def test_nothing_else_changes_the_digest(root):
    before = image_digest(root, "thresholder")
    runtime = runtime_digest(root, "thresholder")
    for changed in (
        "algorithms/other/predict.py",
        "algorithms/thresholder/README.md",
        "README.md",
        "algorithms/thresholder/training/losses.py",
        "cytosuite/metrics/labels/new.py",
        "algorithms/thresholder/kernels/compiled.so",
        "cytosuite/training/loop.py",
        "algorithms/thresholder/__pycache__/predict.pyc",
        "cytosuite/.swap",
        "docker/requirements-networks.txt",
        "docker/requirements-cpu.txt",
        "docker/requirements-cuda.txt",
    ):
        _change(root, changed)
        assert image_digest(root, "thresholder") == before, changed
        assert runtime_digest(root, "thresholder") == runtime, changed


@pytest.fixture
def network(root):
    """Let the algorithm use torch, within a function of a module that its own imports; return why."""
    (root / "algorithms/thresholder/predict.py").write_text("from cytosuite import nets")
    (root / "cytosuite/nets.py").write_text("def run():\n    import torch")
    return "cytosuite.nets imports torch"


def test_the_locks_that_count_for_a_network_are_those_of_the_device(root, network):
    before = image_digest(root, "thresholder", "cuda")
    _change(root, "docker/requirements-cpu.txt")
    assert image_digest(root, "thresholder", "cuda") == before
    _change(root, "docker/requirements-networks.txt")
    between = image_digest(root, "thresholder", "cuda")
    _change(root, "docker/requirements-cuda.txt")
    assert len({before, between, image_digest(root, "thresholder", "cuda")}) == 3


def test_without_networks_the_base_is_slim_on_every_device(builder, daemon, lines):
    replace(builder, device="cuda").build("thresholder")
    base, image = daemon.builds
    assert image["buildargs"]["BASE"] == base["tag"]
    assert base["tag"].startswith("cytosuite/base:slim-")
    assert image["tag"] == image_tag("thresholder", "cuda")
    assert image["buildargs"]["VERSION"] == "1.2.3"
    assert "algorithms/thresholder/predict.py" in image["files"]
    assert base["network_mode"] == image["network_mode"] == "none"
    assert lines[0] == f"{image['tag']}: on the base slim, its imports need no more"


def test_a_network_stands_on_a_layer_of_packages_upon_the_slim_base(
    builder, root, daemon, network, lines
):
    builder.build("thresholder")
    slim, cpu, image = daemon.builds
    assert lines[0] == f"{image['tag']}: on the base cpu, {network}"
    assert slim["buildargs"] == {"BASE_IMAGE": "some:image", "KIND": "slim"}
    assert cpu["buildargs"] == {"BASE_IMAGE": slim["tag"], "KIND": "cpu"}
    assert image["buildargs"]["BASE"] == cpu["tag"]
    assert set(slim["files"]) == {
        "Dockerfile",
        "packages",
        "packages/slim",
        "packages/slim/numpy",
        "packages/slim/numpy/array.py",
    }
    assert cpu["files"]["packages/cpu/torch/nn.py"] == b"large packages"
    assert "packages/slim/numpy/array.py" not in cpu["files"]
    for base in (slim, cpu):
        assert base["labels"]["org.cytosuite.base-image"] == "some:image"
    _change(root, "weights/thresholder/small.json")
    replace(builder, base_image="some:image").build("thresholder")
    assert len(daemon.builds) == 4  # both bases are there


def test_the_digest_of_packages_without_a_checksum_stands_in_a_label(builder, root, daemon):
    builder.base()
    assert "org.cytosuite.unpinned-packages" not in daemon.last["labels"]
    (root / "docker/packages.py").write_text("print('torch==1+cpu 12ab')")
    builder.base()
    label = daemon.last["labels"]["org.cytosuite.unpinned-packages"]
    assert json.loads(label) == {"torch==1+cpu": "12ab"}


def test_packages_of_the_algorithms_own_are_a_layer_upon_its_base(builder, root, daemon):
    before = runtime_digest(root, "thresholder")
    (root / "algorithms/thresholder/requirements.txt").write_text("tiny==1")
    assert runtime_digest(root, "thresholder") != before
    write_text(root / "docker/packages/thresholder/tiny.py", "tiny")
    builder.build("thresholder")
    slim, packages, image = daemon.builds
    assert packages["tag"].startswith("cytosuite/base:thresholder-")
    assert packages["buildargs"] == {"BASE_IMAGE": slim["tag"], "KIND": "thresholder"}
    assert packages["files"]["packages/thresholder/tiny.py"] == b"tiny"
    assert image["buildargs"]["BASE"] == packages["tag"]
    _change(root, "weights/thresholder/small.json")
    builder.build("thresholder")
    assert len(daemon.builds) == 4


def test_an_algorithm_without_weights_has_an_empty_folder(builder, root, daemon):
    (root / "weights/thresholder/small.json").unlink()
    (root / "weights/thresholder").rmdir()
    builder.build("thresholder")
    assert daemon.last["files"]["weights/thresholder"] is None


def test_an_own_dockerfile_overrides_and_is_stale_when_the_image_that_it_stands_on_changes(
    builder, root, daemon
):
    text = "FROM foreign:1 AS tool\nFROM ${BASE}\nCOPY --from=tool /x /x"
    (root / "algorithms/thresholder/Dockerfile").write_text(text)
    daemon.stock["foreign:1"] = {}
    builder.build("thresholder")
    assert daemon.last["files"]["Dockerfile"] == text.encode()
    assert _state(builder) == "current"
    daemon.ids["foreign:1"] = "id of a newer one"
    assert _state(builder) == "stale"
    builder.ensure(["thresholder"])
    assert _state(builder) == "current"


@pytest.mark.parametrize(
    "text, images",
    {
        "FROM some:1": ["some:1"],
        "from --platform=linux/amd64 some:1 as a\nFROM a": ["some:1"],
        "FROM scratch\nCOPY --chmod=755 --from=tools/x@sha256:00 /a /b": ["tools/x@sha256:00"],
        "ARG BASE=cytosuite/base:cpu\nFROM ${BASE} AS a\nCOPY --from=0 /a /b": [],
        "ARG V=12\nFROM debian:${V}\nFROM debian:$V AS Two\nCOPY --from=two a b": ["debian:12"],
        "FROM $UNKNOWN\n# FROM comment:1\nRUN echo FROM \\\n  FROM x": [],
    }.items(),
)
def test_images_of_others_are_read_from_the_dockerfile(text, images):
    assert foreign_images(text) == images


def test_a_current_image_is_not_built_again_unless_all_are_made_anew(builder, daemon, lines):
    builder.build("thresholder")
    count = len(daemon.builds)
    lines.clear()
    builder.build("thresholder")
    assert len(daemon.builds) == count
    assert lines == [f"{image_tag('thresholder')} is current"]
    replace(builder, anew=True).build("thresholder")
    assert [build["nocache"] for build in daemon.builds] == [False] * 2 + [True] * 2


def test_the_base_is_built_once_for_all_algorithms(builder, daemon):
    with ThreadPoolExecutor(2) as at_once:
        first, second = at_once.map(Builder.base, [builder, builder])
    assert first == second == replace(builder, base_image="some:image").base()
    assert len(daemon.builds) == 1
    assert daemon.stock["cytosuite/base:slim"] == daemon.stock[first]


def test_a_published_base_that_is_named_by_its_digest_serves_all_layers_in_it(
    builder, root, daemon, network
):
    builder.build("thresholder")
    _, cpu, _ = daemon.builds
    name = "registry/base@sha256:12"
    daemon.stock = {name: cpu["labels"], "registry/base:cpu": cpu["labels"]}
    (root / "runs/build").rename(root / "runs/of another machine")
    theirs = replace(builder, base_image=name)
    assert theirs.base("slim") == theirs.base("cpu") == name
    theirs.build("thresholder")
    assert daemon.last["buildargs"]["BASE"] == name
    assert len(daemon.builds) == 4
    refused(
        "registry/base:cpu: a base of other locks, or named by",
        replace(builder, base_image="registry/base:cpu").base,
        "slim",
    )
    (root / "docker/packages.py").write_text("# changed")
    refused("expected one of this version by its digest", theirs.base, "slim")


def test_the_base_is_built_anew_when_its_inputs_change_or_on_another_image(builder, root, daemon):
    first = builder.base()
    (root / "docker/base.Dockerfile").write_text(FILES["docker/base.Dockerfile"] + "\n# changed")
    assert builder.base() != first
    assert daemon.builds[0]["labels"]["org.cytosuite.base-image-id"] == "id of some:image"
    daemon.stock["other:image"] = {}
    daemon.digests["other:image"] = ["registry/other@sha256:12"]
    replace(builder, base_image="other:image").base()
    assert daemon.last["buildargs"]["BASE_IMAGE"] == "other:image"
    assert daemon.last["labels"]["org.cytosuite.base-image-id"] == "registry/other@sha256:12"


def test_images_that_took_tags_and_labels_of_ours_are_built_again(builder, daemon):
    builder.build("thresholder")
    daemon.ids[image_tag("thresholder")] = "id of a stranger's"
    assert _state(builder) == "stale"
    builder.ensure(["thresholder"])
    assert _state(builder) == "current"
    done = len(daemon.builds)
    daemon.ids[builder.base()] = "id of a stranger's"
    builder.base()
    assert len(daemon.builds) == done + 1


def test_progress_is_short_and_the_whole_is_in_a_log(builder, root, lines):
    builder.build("thresholder")
    tag = image_tag("thresholder")
    assert lines[-2:] == [f"{tag}: step 2 of 2: RUN y", f"{tag} is built"]
    logs = sorted((root / "runs/build").glob("*.log"))
    assert [log.read_text() for log in logs] == ["Step 1/2 : FROM x\nStep 2/2 : RUN y\n"] * 2


@pytest.mark.parametrize("refusal", ["", "image is used by a running container", "No such image"])
def test_the_image_before_is_removed_and_one_that_the_daemon_keeps_fails_no_build(
    builder, root, daemon, lines, refusal
):
    tag = image_tag("thresholder")
    removed = []
    daemon.ids[tag] = "before"
    builder.build("thresholder")

    def remove(identity):
        removed.append(identity)
        if refusal:
            raise docker_errors.APIError(refusal)

    def build(**options):
        daemon.ids[tag] = "after"
        return Daemon.build(daemon, **options)

    daemon.images.remove = remove
    daemon.api.build = build
    _change(root, "weights/thresholder/small.json")
    builder.build("thresholder")
    assert removed == ["before"]
    stays = f"{tag}: the image before it was not removed: the Docker daemon says: {refusal}"
    assert (stays in lines) == bool(refusal)
    assert lines[-1] == f"{tag} is built"
    _change(root, "weights/thresholder/new.json")
    builder.build("thresholder")
    assert removed == ["before"]  # the same image again


def test_missing_and_stale_images_are_built(builder, root, daemon, lines):
    builder.ensure(["thresholder", "thresholder"])
    assert _state(builder) == "current"
    assert "built again" not in "".join(lines)
    (root / "algorithms/thresholder/predict.py").write_text("changed")
    done = len(daemon.builds)
    builder.ensure(["thresholder", "thresholder"])
    assert _state(builder) == "current"
    assert len(daemon.builds) == done + 1
    assert sum(line.endswith("it is built again") for line in lines) == 1


def _no_registry(root, daemon):
    """pull of some:image: the Docker daemon says: cannot reach the registry of some:image; without an image registry make a base with docker/bootstrap_base.sh cytosuite/debian:bookworm and give it as BASE_IMAGE"""
    del daemon.stock["some:image"]


def _failing_step(root, daemon):
    """failed: ModuleNotFoundError: no such module; all of it is in"""
    daemon.answer = [
        {"stream": "Step 1/2 : RUN y\n"},
        {"stream": "ModuleNotFoundError: no such module\n"},
        {"stream": "\n"},
        {"error": "The command '/bin/sh' returned a non-zero code: 1"},
    ]


def _no_packages(root, daemon):
    """set PIP_EXTRA_INDEX_URL"""
    (root / "docker/packages.py").write_text("import sys\nsys.exit('set PIP_EXTRA_INDEX_URL')")


@pytest.mark.parametrize("mistake", [_no_registry, _failing_step, _no_packages])
def test_explains(builder, root, daemon, mistake):
    mistake(root, daemon)
    refused(re.escape(mistake.__doc__), builder.build, "thresholder")


def test_without_a_daemon_the_reason_and_the_remedy_are_given(root, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{root}/none.sock")
    refused("no Docker daemon answers .*start_daemon.sh", need_docker)


def test_podmans_socket_is_the_users_own_and_without_its_service_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    write_text(tmp_path / "podman/podman.sock", "")
    assert podman_host() == f"unix://{tmp_path}/podman/podman.sock"
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")
    reason = f"no service of podman answers .unix://{tmp_path}/none.sock: No such"
    refused(f"{reason}.* `podman system service --time=0", choose, "podman")
