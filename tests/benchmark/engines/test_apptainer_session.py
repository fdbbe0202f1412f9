"""The command line of Apptainer as a value."""

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.engines import apptainer_session
from cytosuite.benchmark.engines.apptainer_session import (
    KEPT,
    WALLS,
    Contained,
    abilities,
    arguments,
    clean,
    lay_out,
    mount,
)
from cytosuite.benchmark.engines.gpu import Gpu
from cytosuite.benchmark.engines.hardening import Host, flags, ulimits
from cytosuite.benchmark.engines.outcome import Limits

ALL = frozenset({"CpuCfsQuota", "CPUSet", "MemoryLimit", "SwapLimit", "PidsLimit"})
HOST = Host(rootless=False, cpus=frozenset({0, 1, 2, 3}), can=ALL, uid=1001, gid=100)
LIMITS = Limits(memory_gib=2.0, timeout_s=60.0, cpus=2.0, pids=99, output_gib=0.5)
ROOT = Path(__file__).parents[3]
# What Docker's flag is here: words on the command line, or a sentence of docs/cluster.md.
COUNTERPARTS = {
    "network_mode": "--net --network none",
    "read_only": "The root is the image, which is read-only",
    "tmpfs": "--workdir",
    "cap_drop": "--drop-caps all",
    "security_opt": "--no-privs",
    "init": "--containall",
    "ipc_mode": "--containall",
    "shm_size": "`/dev/shm` has the size that the administrator gives to sessions",
    "hostname": "--hostname container",
    "environment": "--cleanenv",
    "labels": "A container ends with the process that started it",
    "stop_signal": "A container ends with the process that started it",
    "mem_limit": f"--memory {2**31}",
    "memswap_limit": f"--memory-swap {2**31}",
    "pids_limit": "--pids-limit 99",
    "nano_cpus": "--cpus 2",
    "cpuset_cpus": "--cpuset-cpus",
    "user": "the user who runs the benchmark",
}


def _words(host=HOST, limits=LIMITS):
    folders = {"/input": Path("/a"), "/output": Path("/b")}
    return arguments(Path("/sif/x.sif"), folders, Path("/scratch"), limits, host)


def test_the_command_line_is_this():
    first, second = sorted(HOST.cpus)[:2] if os.getpid() % 2 == 0 else (2, 3)
    limits = [f"--{name}={value}" for name, value in ulimits(LIMITS)]
    walls = (
        "--containall --cleanenv --no-home --no-mount home,cwd,hostfs,bind-paths --net --network "
        "none --drop-caps all --no-privs --no-eval --hostname container --pwd /opt/app"
    )
    assert _words() == [
        *("prlimit", *limits, "apptainer", "--silent", "exec", *walls.split()),
        *("--workdir", "/scratch"),
        *("--mount", "type=bind,source=/a,destination=/input,ro"),
        *("--mount", "type=bind,source=/b,destination=/output"),
        *("--memory", "2147483648", "--memory-swap", "2147483648", "--pids-limit", "99"),
        *("--cpus", "2", "--cpuset-cpus", f"{first},{second}", "/sif/x.sif"),
    ]
    assert "--core=0" in limits
    assert f"--fsize={2**29}" in limits


def test_every_flag_of_docker_has_a_counterpart_or_a_stated_exception():
    docker = flags(LIMITS, HOST, "owner", "")
    assert docker.keys() == COUNTERPARTS.keys()
    line, page = " ".join(_words()), (ROOT / "docs" / "cluster.md").read_text()
    for name, words in COUNTERPARTS.items():
        assert (words in line) if words.startswith("--") else (words in page), name


def test_nothing_opens_the_container_again():
    names = {word.partition("=")[0] for word in _words()}
    opening = {"--writable", "--writable-tmpfs", "--overlay", "--add-caps", "--keep-privs"}
    opening |= {"--allow-setuid", "--fakeroot", "--no-init", "--env-file", "--bind", "--nv"}
    assert not names & (opening | {"--env", "--home"})


def test_only_enforceable_limits_are_asked_for():
    words = _words(replace(HOST, can=frozenset({"PidsLimit"})))
    assert "--pids-limit" in words
    assert not {"--memory", "--memory-swap", "--cpus", "--cpuset-cpus"} & set(words)


def test_root_is_never_root_in_a_container_and_others_are_who_they_are():
    words = _words(replace(HOST, uid=0, gid=0))
    assert [words[n + 1] for n, word in enumerate(words) if word == "--security"] == [
        "uid:65534",
        "gid:65534",
    ]
    assert "--security" not in _words()


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1))
def test_any_path_can_be_mounted(name):
    path = Path("/data") / name / "x"
    text = io.StringIO(mount("/input", path, read_only=True), newline="")
    (fields,) = csv.reader(text, strict=True)
    assert fields == ["type=bind", f"source={path.resolve()}", "destination=/input", "ro"]


def test_apptainer_gets_no_variable_that_acts_on_the_container():
    given = {"PATH": "/bin", "APPTAINER_BIND": "/", "APPTAINERENV_X": "1", "SINGULARITY_NV": "1"}
    assert clean(given | {"LD_PRELOAD": "x", "SECRET": "y"}) == {"PATH": "/bin"}
    assert not [name for name in KEPT if "APPTAINER" in name]


def test_the_input_is_mounted_over_empty_places(tmp_path):
    case, target, data = tmp_path / "case", tmp_path / "target", tmp_path / "data"
    (case / "images" / "a").mkdir(parents=True)
    (data / "x.ome.zarr" / "0").mkdir(parents=True)
    (data / "x.ome.zarr" / "0" / "chunk").write_text("chunk")
    (data / "y.tif").write_text("pixels")
    (case / "images" / "a" / "x.ome.zarr").symlink_to(data / "x.ome.zarr")
    (case / "images" / "y.tif").symlink_to(data / "y.tif")
    (case / "inputs.json").write_text("[]")
    target.mkdir()
    found = lay_out(case, target)
    assert list(found) == [
        "/input/inputs.json",
        "/input/images/y.tif",
        "/input/images/a/x.ome.zarr",
    ]
    assert {path.resolve() for path in found.values()} == {
        case / "inputs.json",
        data / "y.tif",
        data / "x.ome.zarr",
    }
    assert (target / "images" / "a" / "x.ome.zarr").is_dir()
    files = [path for path in target.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert not any(path.is_symlink() or path.stat().st_size for path in files)


def test_variables_are_set_within_and_a_gpu_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    gpu = Gpu(3, "GPU-d", "NVIDIA L4", 2**34)
    places = (tmp_path / "work", LIMITS, tmp_path / "x.sif", HOST)
    plain = Contained("cellpose3d", *places)
    words, environment = plain.call("exec")
    assert set(environment) <= set(KEPT)
    after = words[words.index("env") :]
    assert {"HOME=/tmp", "OMP_NUM_THREADS=2", "CYTOSUITE_RECORD=/output/record.json"} <= set(after)
    assert after[-4:] == ["python3", "-m", "cytosuite.container", "exec"]
    assert "--nv" not in words
    assert not [word for word in words if "CUDA" in word]
    words, _ = Contained("cellpose3d", *places, tmp_path / "model", gpu).call("exec")
    assert words.index("--nv") < words.index(str(tmp_path / "x.sif"))
    assert [word for word in words if "CUDA" in word] == ["CUDA_VISIBLE_DEVICES=GPU-d"]
    assert mount("/opt/ml/model", tmp_path / "model", read_only=True) in words


def _group(root, place, controllers):
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place / "cgroup.controllers").write_text(controllers)


SESSION = {"XDG_RUNTIME_DIR": "/run/user/7", "DBUS_SESSION_BUS_ADDRESS": "unix:"}


def test_limits_are_those_that_control_groups_delegate(tmp_path):
    user = "user.slice/user-7.slice/user@7.service"
    assert abilities(7, SESSION, tmp_path) == frozenset()  # version 1
    _group(tmp_path, ".", "cpuset cpu io memory pids\n")
    assert abilities(0, {}, tmp_path) == ALL
    assert abilities(7, SESSION, tmp_path) == frozenset()
    _group(tmp_path, user, "memory pids\n")
    assert abilities(7, SESSION, tmp_path) == {"MemoryLimit", "SwapLimit", "PidsLimit"}
    assert abilities(7, {}, tmp_path) == frozenset()  # no session of systemd


@pytest.mark.parametrize("uid", [0, 7])
def test_a_container_does_not_leave_the_group_of_a_slurm_job(tmp_path, uid):
    _group(tmp_path, ".", "cpuset cpu memory pids\n")
    _group(tmp_path, "user.slice/user-7.slice/user@7.service", "memory pids\n")
    assert abilities(uid, SESSION | {"SLURM_JOB_ID": "1"}, tmp_path) == frozenset()


def _contained(tmp_path):
    return Contained("x", tmp_path, LIMITS, tmp_path / "x.sif", HOST)


@pytest.mark.parametrize(
    ("code", "line", "peak", "status"),
    [
        (0, "", None, "ok"),
        (255, "FATAL:   could not open image", None, "engine error"),
        (255, "ValueError: my own", None, "non-zero exit"),
        (1, "FATAL: not from Apptainer", None, "non-zero exit"),
        (137, "", 2**31 - 2**20, "out of memory"),
        (137, "", 2**30, "killed"),
        (-9, "", 2**31, "out of memory"),
        (143, "", 2**31, "killed"),
    ],
)
def test_endings(tmp_path, code, line, peak, status):
    assert _contained(tmp_path).ending(code, line, peak)[0] == status


def test_the_largest_memory_counts_also_after_the_end(tmp_path):
    contained = _contained(tmp_path)
    assert contained.memory(2**22) is None  # no such process
    assert contained.memory(os.getpid()) == 0  # one look is none
    largest = contained.memory(os.getpid())
    assert largest > 10**7
    assert contained.memory(2**22) == largest


GIB = 2**30


@pytest.mark.parametrize(
    ("looks", "peaks"),
    [
        ([(1, 1), (1, 1), (1, 1)], [0, 1, 1]),
        ([(1, 1), (2, 1), (1, 1)], [0, 1, 1]),  # a child between fork and exec
        ([(1, 1), (4, 1), (4, 1)], [0, 1, 1]),  # four processes that share their pages
        ([(1, 1), (3, 3), (3, 3)], [0, 1, 3]),
    ],
)
def test_memory_counts_once_and_when_it_stays(tmp_path, monkeypatch, looks, peaks):
    said = iter(looks)

    def family(pid, most, *, shares=False):
        nonlocal look
        if not shares:
            look = next(said)
        return look[shares] * GIB, 2

    look = None
    monkeypatch.setattr(apptainer_session, "family", family)
    contained = _contained(tmp_path)  # with a limit of 2 GiB
    assert [contained.memory(1) // GIB for _ in looks] == peaks


def test_walls_are_words_of_a_command_line():
    assert all(" " not in word for word in WALLS)
