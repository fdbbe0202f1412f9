import json

import pytest
from archives import CONFIG, GOOD, Image, link, member, sha, tar

from cytosuite.benchmark.submission.checks.image import check_image
from cytosuite.files import write_json

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"


def rules(path):
    """Return the rules that an archive breaks."""
    return [rule for rule, *_ in check_image(path)]


def with_layer(*members, **files):
    return Image([GOOD, tar([*members, *(member(k, v) for k, v in files.items())])])


def configured(**settings):
    return Image().configured(**settings)


def labelled(value, command="exec"):
    return configured(Labels={"org.grand-challenge.api-method": value}, Cmd=[command])


GIVEN = {  # what breaks exactly one rule
    "image.user-root": [configured(User=user) for user in ("", None, "0:1000", "Root:x")],
    "image.user-grammar": [configured(User=user) for user in ("a b", "1000a", "9" * 5000)],
    "image.user-unknown": [
        configured(User="other"),
        Image([GOOD, {"etc/.wh.passwd": b""}]).configured(User="user"),
    ],
    "image.group-unknown": [  # hostile numbers of other lines are passed over
        Image([{**GOOD, "etc/group": "a:x:²:\nb:x:{}:\n".format("9" * 5000).encode()}]).configured(
            User="user:b"
        ),
        configured(User="user:other"),
    ],
    "image.user-is-root": [
        configured(User="00"),
        Image([{**GOOD, "etc/passwd": b"toor:x:0:0::/:/bin/sh\n"}]).configured(User="toor"),
    ],
    "image.user-no-home": [configured(User="1234")],
    "image.no-command": [configured(Entrypoint=None, Cmd=None)],
    "image.no-entrypoint": [configured(Entrypoint=[], Cmd=["python3", "a.py"])],
    "image.shell": [configured(Entrypoint=["/bin/sh", "-c", "python3 a.py"])],
    "image.api-label-missing": [configured(Labels=None)],
    "image.api-label-value": [labelled("serve")],
    "image.api-label-mode": [labelled("invoke")],
    "image.env-reserved": [configured(Env=["GRAND_CHALLENGE_X=1"])],
    "image.env-ld-library-path": [configured(Env=["LD_LIBRARY_PATH=/opt/lib"])],
    "image.workdir-missing": [configured(WorkingDir=place) for place in ("/opt/other", "/inputs")],
    "image.workdir-unreadable": [
        with_layer(member("opt/app/", mode=0o700)),
        with_layer(member("opt/app/", mode=0o2, uid=1000)),
        with_layer(member("opt/app/", mode=0o707, gid=1000)),
    ],
    "image.config": [
        configured(Cmd="exec"),
        Image(config={**CONFIG, "config": [1]}),
    ],
    "image.architecture": [Image(config={**CONFIG, "architecture": "arm64"})],
    "image.os": [Image(config={**CONFIG, "os": "windows"})],
    "layer.hidden": [with_layer(**{"opt/ml/model/a": b""}), with_layer(link("tmp/a", "b"))],
    "layer.git": [with_layer(**{"opt/app/.git/HEAD": b"ref"}), with_layer(member(".git/"))],
    "layer.private-key": [
        with_layer(**{"home/user/.ssh/id_rsa": KEY}),
        Image([GOOD, {"opt/key.pem": KEY}, {"opt/.wh.key.pem": b""}]),
    ],
    "layer.env-file": [with_layer(**{"a/b/c/d/x.env": b""})],
    "archive.tags": [Image(tags=("a:1", "a:2"))],
    "archive.layer-altered": [
        Image(config={**CONFIG, "rootfs": {"diff_ids": [f"sha256:{sha(b'')}"]}}),
        Image(config={**CONFIG, "rootfs": None}),
    ],
}


@pytest.mark.parametrize(
    "rule, number", [(rule, n) for rule, images in GIVEN.items() for n in range(len(images))]
)
def test_each_rule_is_caught_and_no_other(tmp_path, rule, number):
    assert rules(GIVEN[rule][number].save(tmp_path / "a.tar.gz")) == [rule]


@pytest.mark.parametrize(
    "image",
    [
        configured(User="user:100"),
        configured(User="01000"),
        labelled('"invoke"', "invoke"),
        configured(Labels={" Org.Grand-Challenge.API-method ": "exec"}),
        configured(WorkingDir=""),
        configured(WorkingDir="/a/b/c/deep"),
        with_layer(member("opt/app/", mode=0o700, uid=1000)),
        with_layer(member("opt/app/", mode=0o050, gid=1000)),
        with_layer(link("work", "opt/app")).configured(WorkingDir="/work"),
        with_layer(link("opt/link", "../opt")).configured(WorkingDir="/opt/link/app"),
        with_layer(member("tmp/"), member("input/"), member("output/"), member("opt/ml/model/")),
        Image([GOOD, {"tmp/a": b""}, {"tmp/.wh.a": b""}]),
        with_layer(**{"opt/environment": b"", "opt/.gitignore": b"", "inputs/a": b""}),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path, image):
    assert rules(image.save(tmp_path / "a.tar.gz")) == []


def test_the_name_tells_the_compression(tmp_path):
    whole = Image().save(tmp_path / "a.tar.gz")
    for name, expected in (
        ("b.tgz", ["archive.suffix"]),
        ("b.tar.xz", ["archive.content"]),
    ):
        (tmp_path / name).write_bytes(whole.read_bytes())
        assert rules(tmp_path / name) == expected
    assert rules(Image().save(tmp_path / "c.tar")) == ["archive.plain"]


def test_the_size_of_an_upload(tmp_path, monkeypatch):
    path = Image().save(tmp_path / "a.tar.gz")
    monkeypatch.setattr("cytosuite.benchmark.submission.checks.image.UNVERIFIED", 100)
    assert rules(path) == ["archive.size-unverified"]
    monkeypatch.setattr("cytosuite.benchmark.submission.checks.image.LARGEST", 200)
    assert rules(path) == ["archive.size"]


def test_the_layout_of_newer_dockers_is_noted(tmp_path):
    assert rules(Image().save(tmp_path / "a.tar.gz", "oci")) == ["archive.layout"]
    note = {"vnd.docker.reference.type": "attestation-manifest"}
    index = json.dumps({"manifests": [{"annotations": note}]}).encode()
    assert rules(Image(changed={"index.json": index}).save(tmp_path / "b.tar.gz", "oci")) == [
        "archive.layout",
        "archive.attestation",
    ]
    broken = Image(changed={"index.json": b"{"}).save(tmp_path / "c.tar.gz", "oci")
    assert rules(broken) == ["archive.index"]


@pytest.mark.parametrize(
    "name, expected",
    {
        "config.json": ["archive.config-name"],
        f"{'0' * 64}.json": ["archive.config-digest"],
        f"sha256:{sha(Image().text())}": [],
    }.items(),
)
def test_the_name_of_the_config_is_its_digest(tmp_path, name, expected):
    old = f"{sha(Image().text())}.json"
    members = []
    for info, content in Image().docker():
        info.name = name if info.name == old else info.name
        content = content.replace(old.encode(), name.encode()) if info.isreg() else content
        info.size = len(content)
        members.append((info, content))
    (tmp_path / "a.tar").write_bytes(tar(members))
    assert rules(tmp_path / "a.tar") == ["archive.plain", *expected]


def test_an_image_that_was_exported_before_is_known(tmp_path):
    image = Image()
    path = image.save(tmp_path / "a.tar.gz")
    identity = f"sha256:{sha(image.text())}"
    for record, expected in (
        ({"x": {"image": {"file": "a.tar.gz", "id": identity}, "earlier": []}}, []),
        ({"x": {"image": {"file": "b.tar.gz", "id": identity}}}, ["archive.repeated"]),
        ({"x": {"earlier": [identity]}}, ["archive.repeated"]),
        ({"x": {"earlier": 1}, "y": 2}, []),
        ([], []),
    ):
        write_json(tmp_path / "export.json", record)
        assert rules(path) == expected


def test_an_archive_without_its_end_is_doubtful(tmp_path):
    content = Image().save(tmp_path / "a.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(content[: -(-len(content.rstrip(b"\0")) // 512) * 512])
    assert rules(tmp_path / "b.tar") == ["archive.plain", "archive.no-end"]
