import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread

import pytest

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture(scope="module")
def wheelhouse():
    """Return the script as a module."""
    spec = spec_from_file_location("wheelhouse", DOCKER / "wheelhouse.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pip(wheelhouse, monkeypatch):
    """Replace pip by a function that makes known wheels and records the requests; return it."""
    asked, commands = [], []

    def run(command, check, stderr):
        requirements = [part for part in command if "==" in part]
        asked.append(requirements)
        commands.append(command)
        there = run.cpu_build == "package index" or (
            run.cpu_build == "PyTorch's" and wheelhouse.CPU_INDEX in command
        )
        known = [part for part in requirements if "+cpu" not in part or there]
        if "--dest" in command:
            folder = Path(command[command.index("--dest") + 1])
            for requirement in known:
                name, version = requirement.split("==")
                _wheel(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl")
        return subprocess.CompletedProcess(command, int(known != requirements))

    run.cpu_build = "package index"
    run.asked, run.commands = asked, commands
    monkeypatch.setattr(wheelhouse.subprocess, "run", run)
    return run


@pytest.fixture
def here(tmp_path):
    """Return a folder with a lock."""
    (tmp_path / "requirements-pip.txt").write_text("pip==26.0.1\n")
    (tmp_path / "requirements-slim.txt").write_text("# lock\nnumpy==2.4.6\n")
    (tmp_path / "requirements-cpu.txt").write_text(
        "-r requirements-slim.txt\nscikit-image==0.26.0\ntorch==2.1+cpu\n"
    )
    return tmp_path


def test_all_that_is_locked_comes_and_then_nothing_more(wheelhouse, pip, here):
    assert wheelhouse.collect("cpu", here) == 3
    names = {path.name.split("-")[0] for path in (here / "wheelhouse/cpu").iterdir()}
    assert names == {"scikit_image", "torch", "pip"}
    count = len(pip.asked)
    assert wheelhouse.collect("cpu", here) == 3
    assert len(pip.asked) == count


def test_the_packages_of_an_algorithm_come_into_its_folder(wheelhouse, pip, tmp_path, monkeypatch):
    own = tmp_path / "algorithms" / "mine"
    own.mkdir(parents=True)
    (own / "requirements.txt").write_text("tiny==1.0\n")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "requirements-pip.txt").write_text("pip==26.0.1\n")
    monkeypatch.setattr(wheelhouse, "HERE", tmp_path / "docker")
    assert wheelhouse.main(["--folder", "algorithms/mine"]) == 0
    assert {path.name.split("-")[0] for path in (own / "wheels").iterdir()} == {"tiny", "pip"}


def test_only_what_is_missing_is_asked_for(wheelhouse, pip, here):
    wheelhouse.collect("cpu", here)
    next((here / "wheelhouse/cpu").glob("scikit*")).unlink()
    pip.asked.clear()
    wheelhouse.collect("cpu", here)
    assert pip.asked == [["scikit-image==0.26.0"]]


def test_broken_and_old_wheels_are_replaced(wheelhouse, pip, here):
    wheelhouse.collect("cpu", here)
    folder = here / "wheelhouse/cpu"
    next(folder.glob("scikit*")).write_bytes(b"half a file")
    _wheel(folder / "scikit_image-0.25.0-py3-none-any.whl")
    wheelhouse.collect("cpu", here)
    (found,) = folder.glob("scikit*")
    assert zipfile.is_zipfile(found)
    assert "0.26.0" in found.name


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def pinned(wheelhouse, pip, here):
    """Collect the wheels, write the checksum of one into the lock, and return its path."""
    wheelhouse.collect("cpu", here)
    (path,) = (here / "wheelhouse/cpu").glob("scikit*")
    lock = here / "requirements-cpu.txt"
    text = lock.read_text()
    lock.write_text(text.replace("0.26.0", f"0.26.0 --hash=sha256:{_sum(path)}"))
    return path


def test_a_wheel_with_the_checksum_of_the_lock_stays(wheelhouse, pinned, here, pip):
    pip.asked.clear()
    assert wheelhouse.collect("cpu", here) == 3
    assert pip.asked == []


def test_one_of_several_checksums_suffices(wheelhouse, pinned, here):
    lock = here / "requirements-cpu.txt"
    lock.write_text(lock.read_text().replace("0.26.0", f"0.26.0 --hash=sha256:{'0' * 64}"))
    assert wheelhouse.collect("cpu", here) == 3


@pytest.mark.parametrize("way", ["altered on disk", "altered in the index"])
def test_a_wheel_with_another_checksum_is_refused_and_left(
    wheelhouse, pinned, here, here_by_default, capsys, way
):
    expected = _sum(pinned)
    if way == "altered on disk":
        with zipfile.ZipFile(pinned, "a") as archive:
            archive.writestr("evil.py", "pass")
    else:
        pinned.unlink()
        lock = here / "requirements-cpu.txt"
        lock.write_text(lock.read_text().replace(expected, "0" * 64))
        expected = "0" * 64
    capsys.readouterr()
    assert wheelhouse.main(["--base", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"{pinned}: expected the sha256 {expected} of the lock, found {_sum(pinned)}; delete the file"
    )
    assert pinned.is_file()


def test_what_is_removed_is_named_with_the_reason(wheelhouse, pip, here, capsys):
    wheelhouse.collect("cpu", here)
    folder = here / "wheelhouse/cpu"
    next(folder.glob("scikit*")).write_bytes(b"half a file")
    _wheel(folder / "numpy-2.4.6-py3-none-any.whl")  # of the slim base
    capsys.readouterr()
    wheelhouse.collect("cpu", here)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}/numpy-2.4.6-py3-none-any.whl: removed, not in the lock"
    assert lines[1].endswith("-any.whl: removed, half a wheel")
    assert not list(folder.glob("numpy*"))


def test_the_wheels_of_the_slim_base_lie_by_themselves(wheelhouse, pip, here):
    assert wheelhouse.collect("slim", here) == 2
    names = {path.name.split("-")[0] for path in (here / "wheelhouse/slim").iterdir()}
    assert names == {"numpy", "pip"}


PAGE = {
    "h5py-3.1-cp311-cp311-manylinux_2_28_x86_64.whl": "a" * 64,
    "h5py-3.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl": "b" * 64,
    "h5py-3.1-cp312-cp312-manylinux_2_28_x86_64.whl": "c" * 64,
    "h5py-3.1-cp311-cp311-macosx_11_0_arm64.whl": "d" * 64,
    "h5py-3.1-cp311-cp311-manylinux_2_28_aarch64.whl": "d" * 64,
    "h5py-3.2-cp311-cp311-manylinux_2_28_x86_64.whl": "e" * 64,
    "h5py-3.1.tar.gz": "f" * 64,
}


SIZE = 1_500_000


@pytest.fixture
def index(monkeypatch):
    """Serve the page of a package index; return its content."""
    files = [
        {"filename": n, "hashes": {"sha256": s}, "url": f"../../files/{n}"} for n, s in PAGE.items()
    ]
    page = {"files": files, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            page["asked"].append(("HEAD", self.path))
            self.send_response(200 if self.path.startswith("/f") else 404)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()

        def do_GET(self):
            kind = "page" if self.path.startswith("/simple/") else "file"
            page["asked"].append((kind, self.path))
            ours = self.path == "/simple/h5py/" and "simple.v1+json" in self.headers["Accept"]
            self.send_response(200 if ours else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"files": files}).encode() if ours else b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
        yield page
        server.shutdown()


def test_the_checksums_of_a_lock_are_those_of_the_index(wheelhouse, index, tmp_path):
    lock = tmp_path / "lock.txt"
    (tmp_path / "other.txt").write_text("numpy==1\n")
    lock.write_text(f"# h5py==0\n-r other.txt\nh5py==3.1 --hash=sha256:{'0' * 64}\n")
    assert wheelhouse.renew(lock) == 1
    hashes = " ".join(f"--hash=sha256:{letter * 64}" for letter in "ab")
    assert lock.read_text() == f"# h5py==0\n-r other.txt\nh5py==3.1 {hashes}\n"
    assert wheelhouse.locked(lock)["h5py"] == ("3.1", ("a" * 64, "b" * 64))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("h5py==9.9", "h5py/: no sha256 of a wheel of h5py==9.9"),
        ("absent==1", "absent/: no page of a package index as JSON"),
    ],
)
def test_a_version_without_wheel_changes_no_lock(wheelhouse, index, tmp_path, line, reason):
    (tmp_path / "lock.txt").write_text(line)
    with pytest.raises(wheelhouse.WheelhouseError, match=reason):
        wheelhouse.renew(tmp_path / "lock.txt")
    assert (tmp_path / "lock.txt").read_text() == line


def test_an_index_that_states_no_checksum_is_refused(wheelhouse, index, tmp_path):
    index["files"][0]["hashes"].clear()
    (tmp_path / "lock.txt").write_text("h5py==3.1")
    with pytest.raises(wheelhouse.WheelhouseError, match="no sha256"):
        wheelhouse.renew(tmp_path / "lock.txt")


def pin(wheelhouse, letters="a", version="3.1"):
    return {"h5py": wheelhouse.Pin(version, tuple(letter * 64 for letter in letters))}


def test_wheels_are_looked_up_without_a_download(wheelhouse, index, capsys):
    assert wheelhouse.check(pin(wheelhouse)) == SIZE
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("h5py-3.1-")
    assert line.endswith(".whl: 1.5 MB, checksum as locked")
    assert {method for method, _ in index["asked"]} == {"page", "HEAD"}


def test_the_wheel_that_pip_would_take_is_looked_up(wheelhouse, index, capsys):
    tags = ["manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"]
    for tag in tags:
        name = f"h5py-4.0-cp311-cp311-{tag}.whl"
        index["files"].append({"filename": name, "hashes": {"sha256": "e" * 64}, "url": "/f"})
    wheelhouse.check(pin(wheelhouse, "e", "4.0"))
    assert capsys.readouterr().out.startswith("h5py-4.0-cp311-cp311-manylinux_2_28_x86_64.whl: ")


def test_a_version_without_checksum_is_not_looked_up(wheelhouse, index, capsys):
    assert wheelhouse.check({"torch": wheelhouse.Pin("2.1+cpu")}) == 0
    line = "torch==2.1+cpu: not looked up, the lock has no checksum of it\n"
    assert capsys.readouterr().out == line
    assert index["asked"] == []


@pytest.mark.parametrize(
    ("letters", "version", "reason"),
    [
        ("f", "3.1", "expected the sha256 f{64} of the lock for h5py==3.1, found [ab]{64}; ask"),
        ("a", "9.9", "h5py/: no wheel of h5py==9.9"),
    ],
)
def test_another_wheel_in_the_index_is_told(wheelhouse, index, letters, version, reason):
    with pytest.raises(wheelhouse.WheelhouseError, match=reason):
        wheelhouse.check(pin(wheelhouse, letters, version))


def test_all_that_the_index_lacks_is_told_at_once(wheelhouse, index, capsys, monkeypatch):
    pins = pin(wheelhouse, "f") | {"absent": wheelhouse.Pin("1", ("a" * 64,))}
    monkeypatch.setattr(wheelhouse, "added", lambda base: pins)
    assert wheelhouse.main(["--check"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "expected the sha256" in first
    assert "absent/: no page of a package index" in second


def test_a_file_that_the_index_does_not_hand_out_is_told(wheelhouse, index):
    index["files"][:] = [
        {**file, "url": "/gone"} for file in index["files"] if "manylinux" in file["filename"]
    ]
    with pytest.raises(wheelhouse.WheelhouseError, match="/gone: the index does not hand it out"):
        wheelhouse.check(pin(wheelhouse, "ab"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-cp39-abi3-manylinux_2_17_x86_64.whl", True),
        ("a-1-cp312-abi3-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp310-cp310-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311t-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311-manylinux_2_39_x86_64.whl", False),
        ("a-1-1-cp311-cp311-linux_x86_64.whl", True),
        ("a-1.tar.gz", False),
    ],
)
def test_the_tags_of_a_wheel_say_whether_the_containers_take_it(wheelhouse, name, expected):
    assert wheelhouse.runs_here(name) is expected


@pytest.fixture
def here_by_default(wheelhouse, here, monkeypatch):
    """Let the program find the lock."""
    monkeypatch.setattr(wheelhouse.collect, "__defaults__", (here,))
    monkeypatch.setattr(wheelhouse.install_torch, "__defaults__", (here,))


def test_an_index_without_cpu_build_is_named_as_the_cause(wheelhouse, pip, here_by_default, capsys):
    pip.cpu_build = "nowhere"
    assert wheelhouse.main(["--base", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("docker/wheelhouse: torch==2.1+cpu is neither in the package index nor")
    assert line.endswith("PIP_EXTRA_INDEX_URL to an index that has it, or build with DEVICE=cuda")


def test_torchs_own_index_is_asked_second_and_not_for_long(wheelhouse, pip, here):
    pip.cpu_build = "PyTorch's"
    assert wheelhouse.collect("cpu", here) == 3
    first, second, rest = pip.commands
    assert wheelhouse.CPU_INDEX not in first
    assert second == [*first, *wheelhouse.ON_CPU_INDEX]
    assert {"--timeout", "--retries"} < set(second)
    assert wheelhouse.CPU_INDEX not in rest


@pytest.mark.parametrize(
    ("cpu_build", "tries", "line"),
    [
        ("package index", 1, "torch 2.1+cpu: the build that the containers have"),
        ("PyTorch's", 2, "torch 2.1+cpu: the build that the containers have"),
        ("nowhere", 2, "torch: neither the package index nor https://download.pytorch.org"),
    ],
)
def test_the_cpu_build_is_installed_wherever_it_is_offered(
    wheelhouse, pip, here_by_default, capsys, monkeypatch, cpu_build, tries, line
):
    monkeypatch.setattr(wheelhouse.sys, "platform", "linux")
    pip.cpu_build = cpu_build
    assert wheelhouse.main(["--install"]) == 0
    assert capsys.readouterr().out.startswith(line)
    assert pip.asked == [["torch===2.1+cpu"]] * tries


def test_where_no_build_has_cuda_the_index_decides(wheelhouse, pip, here, monkeypatch):
    monkeypatch.setattr(wheelhouse.sys, "platform", "darwin")
    assert "no CUDA build" in wheelhouse.install_torch("cpu", here)
    assert pip.asked == []


def test_the_cuda_build_is_not_taken_for_the_cpu_build_of_its_version(wheelhouse, pip, here):
    (here / "requirements-cuda.txt").write_text("torch==2.1\n")
    assert wheelhouse.install_torch("cuda", here).startswith("torch 2.1: ")
    assert pip.asked == [["torch===2.1"]]


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>=1", "numpy==1 ; python_version < '3'", "x==1 --hash=sha256:12"]
)
def test_a_lock_has_exact_versions_only(wheelhouse, tmp_path, line):
    (tmp_path / "lock.txt").write_text(f"\n# lock\n{line}\n")
    with pytest.raises(wheelhouse.WheelhouseError, match=re.escape(repr(line))):
        wheelhouse.locked(tmp_path / "lock.txt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl", ("torch", "2.13.0+cpu")),
        ("Scikit_Image-0.26.0-1-py3-none-any.whl", ("scikit-image", "0.26.0")),
        ("note.txt", ("note-txt", "")),
    ],
)
def test_a_wheel_is_known_by_its_name(wheelhouse, name, expected):
    assert wheelhouse.wheel(name) == expected


def test_the_host_may_have_any_python(wheelhouse):
    command = wheelhouse.command(["numpy==2.4.6"], Path("there"))
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--python-version=3.11", "--only-binary=:all:", "--no-deps"} <= set(command)
    assert "--platform=manylinux_2_28_x86_64" in command
    assert "--platform=manylinux_2_36_x86_64" not in command


@pytest.fixture(scope="module")
def locks(wheelhouse):
    """Return the locks and the names that were asked for, by the name of their file."""
    pins = {
        name: wheelhouse.locked(DOCKER / f"requirements-{name}.txt")
        for name in ("slim", "cpu", "cuda", "pip")
    }
    asked = {
        name: {
            line.split("==")[0].lower()
            for line in (DOCKER / file).read_text().splitlines()
            if line and line[0] not in "#-"
        }
        for name, file in (("slim", "requirements-slim.in"), ("cpu", "requirements.in"))
    }
    return pins, asked


def test_the_locks_hold_what_is_asked_for(locks):
    pins, asked = locks
    assert asked["slim"] <= set(pins["slim"])
    assert asked["cpu"] | set(pins["slim"]) <= set(pins["cpu"])
    assert asked["cpu"] | set(pins["slim"]) <= set(pins["cuda"])
    assert not {"torch", "monai", "numba", "llvmlite"} & set(pins["slim"])


def test_the_locks_differ_only_in_what_belongs_to_the_device(locks):
    cpu, cuda = (dict(locks[0][name]) for name in ("cpu", "cuda"))
    assert cpu.pop("torch").version == cuda.pop("torch").version + "+cpu"
    assert {name for name in cuda if cuda[name] != cpu.get(name)} == {
        name for name in cuda if name.startswith(("nvidia-", "cuda-")) or name == "triton"
    }
    assert set(cpu) <= set(cuda)


def test_no_version_is_written_twice():
    lines = [
        line.split("==")[0]
        for name in ("pip", "slim", "networks", "cuda")
        for line in (DOCKER / f"requirements-{name}.txt").read_text().splitlines()
        if "==" in line
    ]
    assert len(lines) == len(set(lines))


def test_every_wheel_has_a_checksum_but_the_cpu_build_of_torch(locks):
    without = {
        (base, name)
        for base, pins in locks[0].items()
        for name, pin in pins.items()
        if not pin.hashes
    }
    assert without == {("cpu", "torch")}


def test_what_a_container_carries_is_part_of_what_the_library_asks_for(locks):
    cpu, wanted = locks[0]["cpu"], locks[1]["slim"] | locks[1]["cpu"]
    project = tomllib.loads((DOCKER.parent / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["networks"]
    least = {name.lower(): bound for name, _, bound in (line.partition(">=") for line in asked)}
    assert set(wanted) <= set(least)
    for name in wanted:
        assert _numbers(cpu[name].version) >= _numbers(least[name]), name


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def _wheel(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
