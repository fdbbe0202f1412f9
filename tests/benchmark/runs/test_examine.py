import os
import resource
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasters import counted
from toys import put

from cytosuite.benchmark.runs.examine import Examiner
from cytosuite.benchmark.runs.validate import BadOutput
from cytosuite.contract.tasks import Socket
from cytosuite.volume import Header

LABELS = Socket("instance-labels", "labels", "Labels")
SUMMARY = Socket("cell-summary", "json", "Summary", optional=True)
INPUT = Header((3, 4, 5), np.dtype(np.uint16), (2.0, 0.5, 0.5), "ZYX")


@pytest.fixture(scope="module")
def examiner():
    """Return a running examiner."""
    with Examiner(read_s=20) as running:
        yield running


@pytest.fixture
def output(tmp_path):
    """Return a folder with a valid output."""
    put(tmp_path / LABELS.relative_path / "a.tif", counted(3, 4, 5))
    return tmp_path


def refused(message, examiner, output, expected=INPUT):
    """Return the status of an output that is refused by a line in which an expression is found."""
    with pytest.raises(BadOutput, match=message) as caught:
        examiner.examine(output, [LABELS], expected)
    return caught.value.status


def test_valid_files_are_found_by_socket(examiner, output):
    path = output / LABELS.relative_path / "a.tif"
    assert examiner.examine(output, [LABELS, SUMMARY], INPUT) == {LABELS.slug: path}
    (output / "cell-summary.json").write_text("{}")
    paths = {LABELS.slug: path, SUMMARY.slug: output / "cell-summary.json"}
    assert examiner.examine(output, [LABELS, SUMMARY], None) == paths


def test_a_finding_is_that_of_the_check(examiner, output, tmp_path_factory):
    line = r"expected shape \(3, 4, 6\), found \(3, 4, 5\)"
    assert refused(line, examiner, output, replace(INPUT, shape=(3, 4, 6))) == "bad output"
    assert refused("found none", examiner, tmp_path_factory.mktemp("none")) == "missing output"


def test_a_reader_that_hangs_is_ended(output):
    with Examiner(read_s=0.3) as examiner:
        os.kill(examiner._process.pid, signal.SIGSTOP)
        begin = time.monotonic()
        refused("cannot be read within 0 s", examiner, output)
        assert time.monotonic() - begin < 60
        examiner.read_s = 20
        assert examiner.examine(output, [LABELS], INPUT)


def _ended_by(examiner, number):
    """Send a signal to the process that reads once it has been asked."""
    process = examiner._process
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(0.3, process.send_signal, [number]).start()
    threading.Timer(0.4, process.send_signal, [signal.SIGCONT]).start()


def test_a_reader_that_crashes_costs_its_case_only(examiner, output):
    _ended_by(examiner, signal.SIGSEGV)
    refused(r"ended the program that reads \(SIGSEGV\)", examiner, output)
    assert examiner.examine(output, [LABELS], INPUT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_reader_that_is_ended_from_outside_costs_nothing(examiner, output, number):
    _ended_by(examiner, number)
    assert examiner.examine(output, [LABELS], INPUT)


def test_decoding_has_a_limit_of_memory(examiner, output):
    examiner.examine(output, [LABELS], INPUT)
    limits = Path(f"/proc/{examiner._process.pid}/limits").read_text().splitlines()
    (line,) = [line for line in limits if line.startswith("Max address space")]
    assert 4 * 2**30 < int(line.split()[3]) < 8 * 2**30
    resource.prlimit(examiner._process.pid, resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
    assert examiner.examine(output, [LABELS], INPUT)  # also below a lower one, as of ulimit -v
    examiner.__exit__()
