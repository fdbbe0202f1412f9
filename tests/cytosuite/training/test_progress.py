import os
import signal
import threading
import time

import pytest

from cytosuite.training.progress import Log, ahead, polite_interrupt


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_steps_come_in_order_however_many_threads_draw(workers):
    def draw(step):
        time.sleep(0.002 * (step % 3))
        return step**2

    assert list(ahead(draw, 2, 9, workers)) == [(step, step**2) for step in range(2, 9)]


def test_an_error_while_drawing_is_not_swallowed():
    def draw(step):
        raise ValueError(f"at {step}")

    with pytest.raises(ValueError, match="at 4"):
        list(ahead(draw, 4, 9, 2))


def test_the_log_forgets_the_lines_after_the_checkpoint(tmp_path):
    path = tmp_path / "new" / "log.csv"
    log = Log(path)
    for step in (10, 20, 30):
        log.add(step, {"loss": 1 / step})
    Log(path, after=20).add(30, {"loss": 7.0})
    assert path.read_text().split() == ["step,loss", "10,0.1", "20,0.05", "30,7"]
    Log(path)  # of another training: nothing of this one may enter its curves
    assert not path.exists()
    Log(path).add(10, {"other": 2})
    assert path.read_text().split() == ["step,other", "10,2"]


def test_the_first_interrupt_is_polite_and_the_second_is_not():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), polite_interrupt() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_cannot_be_interrupted_but_run():
    found = []

    def work():
        with polite_interrupt() as asked:
            found.append(asked.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
