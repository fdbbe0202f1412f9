"""Folders on shared file systems: several commands at a time, and calls that the system refuses."""

import errno
import os
import shutil
import time

import forks
import pytest
import refusals

pytestmark = pytest.mark.slow


@pytest.fixture
def refused():
    """Return a function that gives the calls which a system refuses, for a command."""

    def refused(reason, *calls):
        if not refusals.known():
            pytest.skip("no system call can be refused on this machine")
        return {"refused": (getattr(errno, reason), calls)}

    return refused


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
    ["all of these", *(pytest.param(name, marks=pytest.mark.long) for name in list(REFUSED)[:-1])],
)
def test_a_file_system_without(runs, refused, undisturbed, tmp_path, kind):
    """A run ends as on another one, its results are found again, and an altered one is made again."""
    lack = refused(*REFUSED[kind])
    runs.goes_on(tmp_path, undisturbed[0], *ALONE, **lack)
    before = forks.results(tmp_path)
    (image,) = tmp_path.glob(f"run/watershed/{forks.CASES[0]}/output/images/*/*.tif")
    os.truncate(image, 100)
    assert "5 results are there already" in runs.well(runs.start(tmp_path, *ALONE, **lack))
    after = forks.results(tmp_path)
    assert {key for key in after if after[key] != before[key]} <= {("watershed", forks.CASES[0])}
    forks.as_if_nothing(tmp_path, undisturbed[0])


def test_a_file_system_without_symbolic_links_is_one_line(runs, refused, tmp_path):
    code, text = runs(tmp_path, **refused("EPERM", "symlink", "symlinkat"))
    assert code == 2
    line = forks.only_line(text)
    assert "expected a file system with symbolic links" in line
    assert str(tmp_path) in line
    assert "give another folder" in line
    assert forks.leftovers(tmp_path) == []


@pytest.fixture(params=["locks", pytest.param("no locks", marks=pytest.mark.long)])
def locks(request, refused):
    """Return what a command is given to have locks, or none."""
    return {} if request.param == "locks" else refused("ENOLCK", "flock")


def test_a_second_run_in_a_folder_is_one_line_and_harms_nothing(runs, locks, undisturbed, tmp_path):
    first = runs.start(tmp_path, **locks)
    while not (tmp_path / "run/run.json").is_file():
        time.sleep(0.01)
    log = tmp_path / "log.txt"
    code, text = runs.end(runs.start(tmp_path, log=log, **locks), log)
    assert code == 2
    assert "another benchmark is running here; wait for it or give another" in forks.only_line(text)
    runs.well(first)
    log.unlink()
    forks.as_if_nothing(tmp_path, undisturbed[0])


def test_runs_that_begin_at_once_share_a_dataset(runs, locks, undisturbed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    words = tmp_path_factory.mktemp("words")
    logs = [words / f"{number}.txt" for number in range(2)]
    begun = [runs.start(folder, run=log.stem, log=log, **locks) for log in logs]
    for process, log in zip(begun, logs, strict=True):
        runs.well(process, log)
    for log in logs:  # after the end of all: a run that goes on holds its folder
        forks.as_if_nothing(folder, undisturbed[0], log.stem)
    (data,) = (folder / "datasets").iterdir()
    assert len([*(data / "cases").iterdir()]) == len(forks.CASES)


def test_two_commands_segment_into_one_folder(runs, locks, undisturbed, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    words = tmp_path_factory.mktemp("words")
    (images,) = [*undisturbed[0].glob("datasets/*/cases")]
    paths = [str(path) for path in sorted(images.glob("*/sockets/images/microscopy-image/*.tif"))]
    options = ["--out", str(out), "--algorithm", "watershed", "--engine", "process"]
    logs = [words / f"{number}.txt" for number in range(2)]
    orders = [["segment", *paths[:2], *options], ["segment", *paths[1:], *options]]
    begun = [runs.command(*o, log=log, **locks) for o, log in zip(orders, logs, strict=True)]
    for process, log in zip(begun, logs, strict=True):
        runs.well(process, log)
    names = {path.name for path in out.iterdir()}
    assert {f"{case}.tif" for case in forks.CASES} < names
    assert not [name for name in names if name.startswith(".")]


def _lose_a_bit(image):
    """Change a byte of an output as a broken disk does: size and times stay, as the stamps tell."""
    forks.flip(image)
    stamps = image.parents[3] / ".stamps"
    status = image.stat()
    times = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    lines = [line.partition("  ") for line in stamps.read_text().splitlines()]
    rows = {name: words for words, _, name in lines}
    name = image.relative_to(stamps.parent).as_posix()
    rows[name] = f"{rows[name][:64]} {times}"
    stamps.write_text("".join(f"{words}  {name}\n" for name, words in rows.items()))


@pytest.mark.parametrize("verify", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_bit_that_a_disk_loses_is_seen_where_the_user_wants_it_or_in_the_scores(
    runs, undisturbed, disturbed, verify
):
    time.sleep(2.1)
    runs.well(runs.start(disturbed))  # a copy is looked through once
    (image,) = disturbed.glob(f"run/watershed/{forks.CASES[0]}/output/images/*/*.tif")
    _lose_a_bit(image)
    if not verify:
        shutil.rmtree(disturbed / "run/report")  # which is not made again where nothing is new
        code, text = runs(disturbed)
        assert code == 1, text
        assert "6 results are there already" in text
        assert "engine error" in text
        assert "the file was altered since it was written" in text
    text = runs.well(runs.start(disturbed, *(["--verify"] if verify else [])))
    assert "5 results are there already" in text
    forks.as_if_nothing(disturbed, undisturbed[0])
