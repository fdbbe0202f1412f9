import hashlib
import json
import re
import subprocess
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture
def wheelhouse(script):
    """Return the script as a module."""
    return script("wheelhouse")


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
    (tmp_path / "requirements-slim.txt").write_text("# lock\nnumpy==2.4.6\n")
    (tmp_path / "requirements-cpu.txt").write_text(
        "-r requirements-slim.txt\nscikit-image==0.26.0\ntorch==2.1+cpu\n"
    )
    return tmp_path


def test_all_that_is_locked_comes_and_then_nothing_more(wheelhouse, pip, here):
    assert wheelhouse.collect("cpu", here) == 2
    names = {path.name.split("-")[0] for path in (here / "wheelhouse/cpu").iterdir()}
    assert names == {"scikit_image", "torch"}
    count = len(pip.asked)
    assert wheelhouse.collect("cpu", here) == 2
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


@pytest.fixture
def archive(tmp_path):
    """Return a folder whose package is in an index as source archive alone, and its lock."""
    source, index, own = tmp_path / "pure-1.0", tmp_path / "index", tmp_path / "own"
    for folder in (source, index, own):
        folder.mkdir()
    (source / "pure.py").write_text("")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n")
    setup = "from setuptools import setup\nsetup(name='pure', version='1.0', py_modules=['pure'])\n"
    (source / "setup.py").write_text(setup)
    with tarfile.open(index / "pure-1.0.tar.gz", "w:gz") as packed:
        packed.add(source, "pure-1.0")
    digest = hashlib.sha256((index / "pure-1.0.tar.gz").read_bytes()).hexdigest()
    (own / "sources.txt").write_text(f"pure==1.0 --hash=sha256:{digest}\n")
    (own / "requirements.txt").write_text("-r sources.txt\n")
    return own


def test_a_wheel_is_built_of_an_archive_with_the_checksum_of_the_lock(
    wheelhouse, archive, monkeypatch
):
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent / "index"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    pins = wheelhouse.build(archive / "sources.txt", archive / "wheels")
    assert pins == {"pure": wheelhouse.Pin("1.0")}
    (built,) = (archive / "wheels").iterdir()
    assert built.name == "pure-1.0-py3-none-any.whl"
    monkeypatch.setattr(wheelhouse.subprocess, "run", None)
    assert wheelhouse.build(archive / "sources.txt", archive / "wheels") == pins
    built.rename(archive / "wheels" / "pure-1.0-cp311-cp311-linux_x86_64.whl")
    with pytest.raises(wheelhouse.WheelhouseError, match="has a compiled part"):
        wheelhouse.build(archive / "sources.txt", archive / "wheels")


def test_another_archive_is_refused(wheelhouse, archive, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent / "index"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (archive / "sources.txt").write_text(f"pure==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(wheelhouse.WheelhouseError, match=r"sources\.txt: pip wheel failed"):
        wheelhouse.build(archive / "sources.txt", archive / "wheels")


def test_old_and_broken_wheels_are_removed_by_name_and_replaced(wheelhouse, pip, here, capsys):
    wheelhouse.collect("cpu", here)
    folder = here / "wheelhouse/cpu"
    next(folder.glob("scikit*")).write_bytes(b"half a file")
    _wheel(folder / "numpy-2.4.6-py3-none-any.whl")  # of the slim base
    capsys.readouterr()
    pip.asked.clear()
    assert wheelhouse.collect("cpu", here) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}/numpy-2.4.6-py3-none-any.whl: removed, not in the lock"
    assert lines[1].endswith("-any.whl: removed, half a wheel")
    assert pip.asked == [["scikit-image==0.26.0"]]
    assert zipfile.is_zipfile(next(folder.glob("scikit*")))
    assert wheelhouse.collect("slim", here) == 1


@pytest.fixture
def pinned(wheelhouse, pip, here):
    """Collect the wheels, write the checksum of one into the lock, and return its path."""
    wheelhouse.collect("cpu", here)
    (path,) = (here / "wheelhouse/cpu").glob("scikit*")
    lock = here / "requirements-cpu.txt"
    text = lock.read_text()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    lock.write_text(text.replace("0.26.0", f"0.26.0 --hash=sha256:{found}"))
    return path


@pytest.mark.parametrize("way", ["altered on disk", "altered in the index"])
def test_a_wheel_with_another_checksum_is_refused_and_left(
    wheelhouse, pinned, here, here_by_default, capsys, way
):
    lock, expected = here / "requirements-cpu.txt", hashlib.sha256(pinned.read_bytes()).hexdigest()
    if way == "altered on disk":
        with zipfile.ZipFile(pinned, "a") as archive:
            archive.writestr("evil.py", "pass")
    else:
        pinned.unlink()
        lock.write_text(lock.read_text().replace(expected, "0" * 64))
        expected = "0" * 64
    capsys.readouterr()
    assert wheelhouse.main(["--base", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    found = hashlib.sha256(pinned.read_bytes()).hexdigest()
    assert f"{pinned}: expected the sha256 {expected} of the lock, found {found}; delete" in line
    assert pinned.is_file()


PAGE = {
    "h5py-3.1-cp311-cp311-manylinux_2_28_x86_64.whl": "a" * 64,
    "h5py-3.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl": "b" * 64,
    "h5py-3.1-cp312-cp312-manylinux_2_28_x86_64.whl": "c" * 64,
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


def pin(wheelhouse, letters="a", version="3.1"):
    return {"h5py": wheelhouse.Pin(version, tuple(letter * 64 for letter in letters))}


def test_wheels_are_looked_up_without_a_download(wheelhouse, index, capsys):
    assert wheelhouse.check(pin(wheelhouse)) == SIZE
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("h5py-3.1-")
    assert line.endswith(".whl: 1.5 MB, checksum as locked")
    assert {method for method, _ in index["asked"]} == {"page", "HEAD"}
    index["files"][:] = [file for file in index["files"] if file["filename"].endswith(".gz")]
    assert wheelhouse.check(pin(wheelhouse, "f")) == SIZE
    assert capsys.readouterr().out == "h5py-3.1.tar.gz: 1.5 MB, checksum as locked\n"
    assert wheelhouse.check({"torch": wheelhouse.Pin("2.1+cpu")}) == 0
    line = "torch==2.1+cpu: not looked up, the lock has no checksum of it\n"
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("letters", "version", "reason"),
    [
        ("f", "3.1", "expected the sha256 f{64} of the lock for h5py==3.1, found [ab]{64}; ask"),
        ("a", "9.9", "h5py/: no wheel of h5py==9.9"),
    ],
)
def test_another_wheel_in_the_index_is_an_error(wheelhouse, index, letters, version, reason):
    with pytest.raises(wheelhouse.WheelhouseError, match=reason):
        wheelhouse.check(pin(wheelhouse, letters, version))


def test_all_that_the_index_lacks_is_an_error_at_once(
    wheelhouse, index, tmp_path, capsys, monkeypatch
):
    pins = pin(wheelhouse, "f") | {"absent": wheelhouse.Pin("1", ("a" * 64,))}
    monkeypatch.setattr(wheelhouse, "added", lambda base: pins)
    assert wheelhouse.main(["--check"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "expected the sha256" in first
    assert "absent/: no page of a package index" in second
    index["files"][:] = [
        {**file, "url": "/gone"} for file in index["files"] if "manylinux" in file["filename"]
    ]
    with pytest.raises(wheelhouse.WheelhouseError, match="/gone: the index does not hand it out"):
        wheelhouse.check(pin(wheelhouse, "ab"))
    (tmp_path / "lock.txt").write_text("h5py==9.9")
    with pytest.raises(wheelhouse.WheelhouseError, match="no sha256 of a wheel of h5py==9.9"):
        wheelhouse.renew(tmp_path / "lock.txt")
    assert (tmp_path / "lock.txt").read_text() == "h5py==9.9"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp39-abi3-manylinux_2_17_x86_64.whl", True),
        ("a-1-cp312-abi3-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311t-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311-manylinux_2_39_x86_64.whl", False),
        ("a-1-1-cp311-cp311-linux_x86_64.whl", True),
    ],
)
def test_the_tags_of_a_wheel_say_whether_the_containers_take_it(wheelhouse, name, expected):
    assert wheelhouse.runs_here(name) is expected


@pytest.fixture
def here_by_default(wheelhouse, here, monkeypatch):
    """Let the program find the lock."""
    monkeypatch.setattr(wheelhouse.collect, "__defaults__", (here,))


def test_an_index_without_cpu_build_is_named_as_the_cause(wheelhouse, pip, here_by_default, capsys):
    pip.cpu_build = "nowhere"
    assert wheelhouse.main(["--base", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("docker/wheelhouse: torch==2.1+cpu is neither in the package index nor")
    assert line.endswith("PIP_EXTRA_INDEX_URL to an index that has it, or build with DEVICE=cuda")


@pytest.mark.parametrize("line", ["numpy>=1", "numpy==1 ; python_version < '3'"])
def test_a_lock_has_exact_versions_only(wheelhouse, tmp_path, line):
    (tmp_path / "lock.txt").write_text(f"\n# lock\n{line}\n")
    with pytest.raises(wheelhouse.WheelhouseError, match=re.escape(repr(line))):
        wheelhouse.locked(tmp_path / "lock.txt")


def test_the_host_may_have_any_python(wheelhouse):
    command = wheelhouse.command(["numpy==2.4.6"], Path("there"))
    assert {"--python-version=3.11", "--only-binary=:all:", "--no-deps"} <= set(command)
    assert "--platform=manylinux_2_28_x86_64" in command
    assert "--platform=manylinux_2_36_x86_64" not in command


@pytest.fixture
def locks(wheelhouse):
    """Return the locks by the name of their base."""
    names = ("slim", "cpu", "cuda", "pip")
    return {name: wheelhouse.locked(DOCKER / f"requirements-{name}.txt") for name in names}


def test_the_locks_hold_what_is_asked_for(locks):
    for bases, file in ((["slim"], "requirements-slim.in"), (["cpu", "cuda"], "requirements.in")):
        lines = (DOCKER / file).read_text().splitlines()
        asked = {line.split("==")[0].lower() for line in lines if line and line[0] not in "#-"}
        for base in bases:
            assert asked | set(locks["slim"]) <= set(locks[base])
    assert not {"torch", "monai"} & set(locks["slim"])


def test_the_locks_differ_only_in_what_belongs_to_the_device(locks):
    cpu, cuda = (dict(locks[name]) for name in ("cpu", "cuda"))
    assert cpu.pop("torch").version == cuda.pop("torch").version + "+cpu"
    assert {name for name in cuda if cuda[name] != cpu.get(name)} == {
        name for name in cuda if name.startswith(("nvidia-", "cuda-")) or name == "triton"
    }
    assert set(cpu) <= set(cuda)
    pinned = [(base, name, pin) for base, pins in locks.items() for name, pin in pins.items()]
    assert [own[:2] for own in pinned if not own[2].hashes] == [("cpu", "torch")]


def _wheel(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
