"""Folders on shared file systems: several commands at a time, and calls that the system refuses."""

import os
import shutil
import time

import forks
import house
import pytest
import refusals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a checkout with a toy algorithm and a toy dataset."""
    folder = tmp_path_factory.mktemp("shared") / "house"
    house.build(folder, algorithms=["toy_threshold"], datasets=["toy_cells"])
    return folder


@pytest.fixture(scope="module")
def start(home):
    """Return a function that starts a program in which system calls are refused."""
    made = []

    def start(reason="", *calls):
        if calls and not refusals.known():
            pytest.skip("no system call can be refused on this machine")
        made.append(forks.Runs(home, refusals.words(reason, calls) if calls else ()))
        return made[-1]

    yield start
    for runs in made:
        runs.base.communicate()


@pytest.fixture(scope="module")
def plain(start):
    """Return a function that runs a benchmark."""
    return start()


@pytest.fixture(scope="module")
def undisturbed(plain, tmp_path_factory):
    """Return the folder of a run on a file system that can do everything."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, text = plain(folder)
    assert code == 0, text
    return folder


# Semaphores of several workers need hard links of their own in memory, which are refused, too.
ALONE = "--workers", "1"
REFUSED = {
    "hard links": ("EPERM", "link", "linkat"),
    "locks": ("ENOLCK", "flock"),
    "locks, as on another one": ("EOPNOTSUPP", "flock"),
    "exchanges of names": ("EINVAL", "renameat2"),
    "all of these": ("EPERM", "link", "linkat", "renameat2"),
}


@pytest.mark.parametrize(
    "kind",
    ["all of these", *(pytest.param(own, marks=pytest.mark.long) for own in list(REFUSED)[:-1])],
)
def test_a_file_system_without(start, undisturbed, tmp_path, kind):
    """A run ends as on another one, its results are found again, and an altered one is made again."""
    runs = start(*REFUSED[kind])
    code, text = runs(tmp_path, *ALONE)
    assert code == 0, text
    forks.as_if_nothing(tmp_path, undisturbed)
    before = forks.results(tmp_path)
    (image,) = tmp_path.glob(f"run/watershed/{forks.CASES[0]}/output/images/*/*.tif")
    os.truncate(image, 100)
    code, text = runs(tmp_path, *ALONE)
    assert code == 0, text
    assert "5 results are there already" in text
    after = forks.results(tmp_path)
    changed = {key for key in after if after[key] != before[key]}
    assert changed <= {("watershed", forks.CASES[0])}
    forks.as_if_nothing(tmp_path, undisturbed)


def test_a_file_system_without_symbolic_links_is_one_line(start, tmp_path):
    runs = start("EPERM", "symlink", "symlinkat")
    code, text = runs(tmp_path)
    assert code == 2
    line = forks.only_line(text)
    assert "expected a file system with symbolic links" in line
    assert str(tmp_path) in line
    assert "give another folder" in line
    assert forks.leftovers(tmp_path) == []


@pytest.fixture(params=["locks", pytest.param("no locks", marks=pytest.mark.long)])
def several(request, start, plain):
    """Return a function that runs a benchmark, with locks and without."""
    return plain if request.param == "locks" else start("ENOLCK", "flock")


def test_a_second_run_in_a_folder_is_one_line_and_harms_nothing(several, undisturbed, tmp_path):
    first = several.start(tmp_path)
    while not (tmp_path / "run" / "run.json").is_file():
        time.sleep(0.01)
    log = tmp_path / "log.txt"
    code, text = several.end(several.start(tmp_path, log=log), log)
    assert code == 2
    assert "another benchmark is running here; wait for it or give RUN=<name>" in forks.only_line(
        text
    )
    code, text = several.end(first)
    assert code == 0, text
    log.unlink()
    forks.as_if_nothing(tmp_path, undisturbed)


def test_runs_that_begin_at_once_share_a_dataset(several, undisturbed, tmp_path_factory):
    folder, words = tmp_path_factory.mktemp("several"), tmp_path_factory.mktemp("words")
    logs = [words / f"{number}.txt" for number in range(3)]
    begun = [several.start(folder, run=log.stem, log=log) for log in logs]
    for process, log in zip(begun, logs, strict=True):
        code, text = several.end(process, log)
        assert code == 0, text
    for log in logs:  # after the end of all: a run that goes on holds its folder
        forks.as_if_nothing(folder, undisturbed, log.stem)
    (data,) = (folder / "datasets").iterdir()
    assert len([*(data / "cases").iterdir()]) == len(forks.CASES)


def test_two_commands_segment_into_one_folder(several, undisturbed, tmp_path_factory):
    out, words = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("words")
    (images,) = [*undisturbed.glob("datasets/*/cases")]
    paths = [str(path) for path in sorted(images.glob("*/sockets/images/microscopy-image/*.tif"))]
    given = ["--out", str(out), "--algorithm", "watershed", "--engine", "process"]
    logs = [words / f"{number}.txt" for number in range(2)]
    orders = [["segment", *paths[:2], *given], ["segment", *paths[1:], *given]]
    begun = [several.command(*o, log=log) for o, log in zip(orders, logs, strict=True)]
    for process, log in zip(begun, logs, strict=True):
        code, text = several.end(process, log)
        assert code == 0, text
    found = {path.name for path in out.iterdir()}
    assert {f"{case}.tif" for case in forks.CASES} < found
    assert not [name for name in found if name.startswith(".")]


def _lose_a_bit(image):
    """Change a byte of an output as a broken disk does: size and times stay, as the stamps tell."""
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    stamps, found = image.parents[3] / ".stamps", image.stat()
    times = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
    lines = [line.partition("  ") for line in stamps.read_text().splitlines()]
    rows = {name: words for words, _, name in lines}
    name = image.relative_to(stamps.parent).as_posix()
    rows[name] = f"{rows[name][:64]} {times}"
    stamps.write_text("".join(f"{words}  {name}\n" for name, words in rows.items()))


@pytest.mark.parametrize("verify", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_bit_that_a_disk_loses_is_seen_where_the_user_wants_it_or_in_the_scores(
    plain, undisturbed, tmp_path, verify
):
    shutil.copytree(undisturbed, tmp_path / "runs", symlinks=True)
    runs = tmp_path / "runs"
    time.sleep(2.1)
    code, text = plain(runs)  # a copy is looked through once
    assert code == 0, text
    (image,) = runs.glob(f"run/watershed/{forks.CASES[0]}/output/images/*/*.tif")
    _lose_a_bit(image)
    if not verify:
        code, text = plain(runs)
        assert code == 1, text
        assert "6 results are there already" in text
        assert "engine error" in text
        assert "the file was altered since it was written" in text
    code, text = plain(runs, *(["--verify"] if verify else []))
    assert code == 0, text
    assert "5 results are there already" in text
    forks.as_if_nothing(runs, undisturbed)
