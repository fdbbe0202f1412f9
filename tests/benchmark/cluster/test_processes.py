import os
import signal
import time

import pytest

from cytosuite.benchmark.cluster.pool import Here
from cytosuite.benchmark.cluster.processes import Processes, processes
from cytosuite.errors import InputError


def square(number):
    """Return a square."""
    return number**2


def process(number):
    """Return the process that did the piece."""
    time.sleep(0.2)
    return os.getpid()


def fail(number):
    """Refuse one piece."""
    if number == 2:
        raise InputError("two: not wanted")
    return number


def die(number):
    """End the process as the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("pool", [Here(), Processes(2), Processes(5)])
def test_each_piece_has_its_result(pool):
    assert dict(pool.each(square, [3, 1, 2])) == {0: 9, 1: 1, 2: 4}
    assert dict(pool.each(square, [])) == {}


def test_pieces_are_done_side_by_side():
    found = dict(Processes(2).each(process, [0, 1]))
    assert len({*found.values(), os.getpid()}) == 3


def test_a_single_piece_needs_no_process():
    assert dict(Processes(2).each(process, [0])) == {0: os.getpid()}
    assert processes(1).slots == 1
    assert dict(processes(1).each(process, [0, 1])) == {0: os.getpid(), 1: os.getpid()}
    assert isinstance(processes(3), Processes)


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_the_error_of_a_piece_is_raised(pool):
    with pytest.raises(InputError, match="two: not wanted"):
        list(pool.each(fail, [1, 2, 3]))


def test_a_killed_process_is_one_clear_line():
    with pytest.raises(InputError, match="killed, as if memory was short: give fewer --workers"):
        list(Processes(2).each(die, [1, 2, 3]))
