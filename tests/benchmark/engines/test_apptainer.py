"""The engine of Apptainer: its command line as a value, and runs by a stand-in for the program."""

import csv
import io
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import refused
from toys import ALL, HOST, LIMITS

from cytosuite.benchmark.engines import apptainer, process
from cytosuite.benchmark.engines.apptainer import (
    KEPT,
    ApptainerEngine,
    Contained,
    abilities,
    arguments,
    lay_out,
    mount,
)
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.gpu import Gpu
from cytosuite.benchmark.engines.hardening import Host, ulimits
from cytosuite.benchmark.engines.images.blueprints import image_digest
from cytosuite.benchmark.engines.images.build import SOURCE_LABEL
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.files import write_json, write_text

STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
HERE = Host(False, frozenset(os.sched_getaffinity(0)), frozenset(), os.getuid(), os.getgid())


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts the program on the path, and gives the folder of images."""
    images = tmp_path / "images, of us"
    images.mkdir()
    monkeypatch.setenv("SIF", str(images))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("APPTAINER_BIND", "/etc")

    def install(app=process.PACKAGE.parent, version="1.2.5"):
        text = STAND_IN.replace("@APP@", str(app)).replace("@VERSION@", version)
        program = tmp_path / "bin/apptainer"
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return images

    return install


def make_image(images, digest=None):
    """Write what the program takes for an image, with its labels."""
    digest = digest or image_digest(apptainer.ROOT, "watershed")
    write_json(images / "watershed.sif", {SOURCE_LABEL: digest})


@pytest.fixture
def start(app, behave, tmp_path, install):
    """Return a function that starts a session of an algorithm with some behaviour."""

    def start(behaviour="", **limits):
        behave(behaviour)
        make_image(install(app))
        engine, _ = choose("apptainer")
        limits = Limits(**limits)
        return engine.session("watershed", tmp_path / "workspace", limits, engine.api)

    return start


@pytest.mark.slow
def test_a_case_goes_in_by_mounts_and_comes_back(tmp_path, start, succeed, dataset):
    before = sorted(tmp_path.joinpath("datasets").rglob("*"))
    with start() as session:
        succeed(session)
    assert not (tmp_path / "workspace").exists()
    assert sorted(tmp_path.joinpath("datasets").rglob("*")) == before


HOSTILE = {
    "[(OUTPUT / f'{n}').write_bytes(bytes(2**20)) for n in range(8)]; time.sleep(9)": (
        "bad output",
        "output limit of 0.00195312 GiB exceeded",
    ),
    "[subprocess.Popen(['sleep', '9']) for _ in range(99)]; time.sleep(9)": (
        "non-zero exit",
        "limit of 90 processes and threads exceeded",
    ),
    "tmp = Path(os.environ['HOME']); assert not list(tmp.iterdir()); "
    "[(tmp / f'{n}').write_bytes(bytes(2**20)) for n in range(450)]; time.sleep(9)": (
        "out of memory",
        "memory limit of 0.4 GiB exceeded",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_hostile_program_costs_its_case_alone(start, predict, behaviour):
    hostile = f"if image.array.sum() == 2400: {behaviour}"
    with start(hostile, memory_gib=0.4, timeout_s=60.0, pids=90, output_gib=2 / 1024) as session:
        outcome, output = predict(session)
        status, message = HOSTILE[behaviour]
        assert outcome.status == status
        assert message in outcome.message
        assert not any(path.is_file() for path in output.rglob("*")) or status == "bad output"
        assert predict(session, 1)[0].status == "ok"


def test_a_server_is_refused(tmp_path):
    refused(
        "a container per case: API=exec, not invoke",
        ApptainerEngine(tmp_path, HERE)
        .session("watershed", tmp_path / "workspace", Limits(), "invoke")
        .__enter__,
    )


def test_an_image_of_the_checkout_is_found_and_its_content_is_its_identity(install):
    images = install()
    make_image(images)
    engine, sentence = choose("apptainer")
    assert engine.images == images
    assert "apptainer" in sentence
    first = engine.identity("watershed")
    assert engine.identity("watershed") == first
    text = (images / "watershed.sif").read_text()
    for other in (text + " ", " " + text.replace(" ", "", 1)):  # another size, another beginning
        (images / "watershed.sif").write_text(other)
        assert engine.identity("watershed") != first


def _missing(images):
    """watershed.sif: no image of watershed; make it with `make build-watershed && docker save"""


def _stale(images):
    """watershed.sif: made from other sources than the checkout's; make it with `make build-"""
    make_image(images, digest="0" * 64)


@pytest.mark.parametrize("mistake", [_missing, _stale])
def test_explains(install, mistake):
    images = install()
    mistake(images)
    refused(mistake.__doc__, ApptainerEngine(images, HERE).identity, "watershed")


def test_an_old_or_missing_apptainer_is_refused(install, monkeypatch, tmp_path):
    install(version="1.1.9")
    refused("expected Apptainer 1.2 or later, found", choose, "apptainer")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused("no program apptainer on this machine; install Apptainer", choose, "apptainer")


def _words(host=HOST):
    folders = {"/input": Path("/a"), "/output": Path("/b")}
    return arguments(Path("/sif/x.sif"), folders, Path("/scratch"), LIMITS, host)


def test_the_command_line_is_this():
    first, second = sorted(HOST.cpus)[:2] if os.getpid() % 2 == 0 else (2, 3)
    limits = [f"--{name}={value}" for name, value in ulimits(LIMITS)]
    walls = (
        "--containall --cleanenv --no-home --no-mount home,cwd,hostfs,bind-paths --net --network "
        "none --drop-caps all --no-privs --no-eval --hostname container --pwd /opt/app "
        "--workdir /scratch --mount type=bind,source=/a,destination=/input,ro "
        "--mount type=bind,source=/b,destination=/output "
        "--memory 2147483648 --memory-swap 2147483648 --pids-limit 99 --cpus 2 --cpuset-cpus"
    )
    assert _words() == [
        "prlimit", *limits, "apptainer", "--silent", "exec", *walls.split(),
        f"{first},{second}", "/sif/x.sif",
    ]  # fmt: skip
    assert "--core=0" in limits
    assert f"--fsize={2**29}" in limits


def test_limits_that_nobody_enforces_are_not_asked_for_and_root_is_nobody():
    words = _words(replace(HOST, can=frozenset({"PidsLimit"}), uid=0, gid=0))
    assert "--pids-limit" in words
    assert not {"--memory", "--memory-swap", "--cpus", "--cpuset-cpus"} & set(words)
    roots = [words[n + 1] for n, word in enumerate(words) if word == "--security"]
    assert roots == ["uid:65534", "gid:65534"]
    notes = [ApptainerEngine(Path("x"), host).notes for host in (HOST, HERE)]
    assert [len(lines) for lines in notes] == [2, 3]


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1))
def test_any_path_can_be_mounted(name):
    path = Path("/data") / name / "x"
    (fields,) = csv.reader(
        io.StringIO(mount("/input", path, read_only=True), newline=""), strict=True
    )
    assert fields == ["type=bind", f"source={path.resolve()}", "destination=/input", "ro"]


def test_the_input_is_mounted_over_empty_places(tmp_path):
    case, target, data = tmp_path / "case", tmp_path / "target", tmp_path / "data"
    (case / "images/a").mkdir(parents=True)
    write_text(data / "x.ome.zarr/0/chunk", "chunk")
    (data / "y.tif").write_text("pixels")
    (case / "images/a/x.ome.zarr").symlink_to(data / "x.ome.zarr")
    (case / "images/y.tif").symlink_to(data / "y.tif")
    (case / "inputs.json").write_text("[]")
    target.mkdir()
    assert [(point, path.resolve()) for point, path in lay_out(case, target).items()] == [
        ("/input/inputs.json", case / "inputs.json"),
        ("/input/images/y.tif", data / "y.tif"),
        ("/input/images/a/x.ome.zarr", data / "x.ome.zarr"),
    ]
    assert (target / "images/a/x.ome.zarr").is_dir()
    files = [path for path in target.rglob("*") if path.is_file()]
    assert [path.is_symlink() or path.stat().st_size for path in files] == [0, 0]


def test_variables_are_set_within_and_a_gpu_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    gpu = Gpu(3, "GPU-d", "NVIDIA L4", 2**34)
    (tmp_path / "sif").symlink_to(tmp_path)
    parts = ApptainerEngine(tmp_path / "sif", HOST), "cellpose3d", tmp_path / "work", LIMITS, "exec"
    words, environment = Contained(*parts).call("exec")
    assert set(environment) <= set(KEPT)
    after = words[words.index("env") :]
    assert {"HOME=/tmp", "OMP_NUM_THREADS=2", "CYTOSUITE_RECORD=/output/record.json"} <= set(after)
    assert after[-4:] == ["python3", "-m", "cytosuite.container", "exec"]
    assert "--nv" not in words
    assert not [word for word in words if "CUDA" in word]
    words, _ = Contained(*parts, tmp_path / "model", SimpleNamespace(gpu=gpu)).call("exec")
    assert words.index("--nv") < words.index(str(tmp_path / "cellpose3d.sif"))
    assert [word for word in words if "CUDA" in word] == ["CUDA_VISIBLE_DEVICES=GPU-d"]
    assert mount("/opt/ml/model", tmp_path / "model", read_only=True) in words


def test_limits_are_those_that_control_groups_delegate(tmp_path):
    def group(place, controllers):
        write_text(tmp_path / place / "cgroup.controllers", controllers)

    session = {"XDG_RUNTIME_DIR": "/run/user/7", "DBUS_SESSION_BUS_ADDRESS": "unix:"}
    assert abilities(7, session, tmp_path) == frozenset()  # version 1
    group(".", "cpuset cpu io memory pids\n")
    assert abilities(0, {}, tmp_path) == ALL
    assert abilities(7, session, tmp_path) == frozenset()
    group("user.slice/user-7.slice/user@7.service", "memory pids\n")
    assert abilities(7, session, tmp_path) == {"MemoryLimit", "SwapLimit", "PidsLimit"}
    assert abilities(7, {}, tmp_path) == frozenset()  # no session of systemd
    for uid in (0, 7):  # a container stays in the group of a job
        assert abilities(uid, session | {"SLURM_JOB_ID": "1"}, tmp_path) == frozenset()


def _contained(tmp_path):
    return Contained(ApptainerEngine(tmp_path, HOST), "x", tmp_path, LIMITS, "exec")


@pytest.mark.parametrize(
    "code, line, peak, status",
    [
        (0, "", None, "ok"),
        (255, "FATAL:   could not open image", None, "engine error"),
        (255, "ValueError: my own", None, "non-zero exit"),
        (1, "FATAL: not from Apptainer", None, "non-zero exit"),
        (137, "", 2**31 - 2**20, "out of memory"),
        (137, "", 2**30, "killed"),
        (-9, "", 2**31, "out of memory"),
    ],
)
def test_endings(tmp_path, code, line, peak, status):
    assert _contained(tmp_path).ending(code, line, peak)[0] == status


def test_memory_counts_once_and_when_it_stays(tmp_path, monkeypatch):
    for looks, peaks in (
        ([(1, 1), (2, 1), (1, 1)], [0, 1, 1]),  # a child between fork and exec
        ([(1, 1), (4, 1), (4, 1)], [0, 1, 1]),  # four processes that share their pages
        ([(1, 1), (3, 3), (3, 3)], [0, 1, 3]),
    ):
        samples = iter([look for look in looks for _ in range(1 + (look[0] > 2))])
        family = lambda pid, most, shares=False: (next(samples)[shares] * 2**30, 2)  # noqa: E731, B023
        monkeypatch.setattr(apptainer, "family", family)
        contained = _contained(tmp_path)  # with a limit of 2 GiB
        assert [(contained.memory(1) or 0) // 2**30 for _ in looks] == peaks
    monkeypatch.setattr(apptainer, "family", lambda *_, **__: None)
    assert contained.memory(1) == 3 * 2**30  # also after the end
