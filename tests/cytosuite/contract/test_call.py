"""A case whose caller has gone ends and leaves no file, whatever it does at that moment."""

import gc
import http.client
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cytosuite.container import serve
from cytosuite.contract import call as module
from cytosuite.contract.call import Abandoned, Call, delivered
from cytosuite.contract.progress import report

LATE = "late"
GIVEN_UP = "given up: nobody waits for this case any longer\n"


def looks(program):
    while True:
        report(0, 1)
        time.sleep(0.001)


def never_looks(program):
    """Sleep outside of Python, then write as no program of ours does."""
    program.release.wait()
    (program.outputs / LATE).write_text("late")


def writes(program):
    with delivered(program.outputs) as folder:
        (folder / LATE).write_text("late")
        program.release.wait()


def fails(program):
    program.release.wait()
    raise FileNotFoundError("an input that went with its case")


def swallows(program):
    with suppress(BaseException):
        looks(program)


class Program:
    """Cases of two kinds: those named late do what they are told, others write their name."""

    def __init__(self, folder, late):
        self.inputs, self.outputs, self.late = folder / "input", folder / "output", late
        self.started, self.release = threading.Event(), threading.Event()

    def run_case(self):
        (name,) = (path.name for path in self.inputs.iterdir())
        if name == LATE:
            self.started.set()
            self.late(self)
        with delivered(self.outputs) as folder:
            (folder / name).write_text(name)
        return {"warnings": []}

    def lay(self, name):
        """Empty both folders and lay a case, as the platform does."""
        for folder in (self.inputs, self.outputs):
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                module.remove(path)
        (self.inputs / name).write_text(name)

    @property
    def files(self):
        return sorted(path.name for path in self.outputs.rglob("*"))


@pytest.fixture(autouse=True)
def no_collector():
    """Keep callbacks of the garbage collector out: an exception for a thread is lost in one."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Return a function that serves a program: it gives its program and a function that posts."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)

    def start(late):
        program = Program(tmp_path, late)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        threading.Thread(target=serve, args=(program, listener), daemon=True).start()

        @contextmanager
        def posted():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1800)
            connection.request("POST", "/invoke", body=b"{}")
            yield connection
            connection.close()

        return program, posted

    return start


def abandon(program, posted):
    """Begin the late case, and go."""
    program.lay(LATE)
    with posted():
        assert program.started.wait(30)
    program.started.clear()


def ended(program):
    program.release.set()
    for case in threading.enumerate():
        if isinstance(case, Call):
            case.join(30)
            assert not case.is_alive()


@pytest.mark.parametrize("late", [looks, never_looks, writes, fails, swallows])
def test_the_next_case_is_right_at_once_and_stays_alone(served, late, capsys):
    program, posted = served(late)
    for name in ("first", "second"):
        abandon(program, posted)
        program.lay(name)
        with posted() as answer:
            assert answer.getresponse().status == 201
        assert program.files == [name]
        ended(program)
        assert program.files == [name]
        program.release.clear()
    assert capsys.readouterr().err == 2 * GIVEN_UP


def test_a_third_case_waits_until_two_are_left_in_memory(served):
    program, posted = served(never_looks)
    for _ in range(2):
        abandon(program, posted)
    program.lay("third")
    with posted() as answer:
        answer.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            answer.getresponse()
        program.release.set()
        answer.sock.settimeout(30)
        assert answer.sock.recv(12) == b"HTTP/1.0 201"
    assert program.files == ["third"]


def test_a_case_whose_caller_goes_before_it_begins_leaves_the_next_its_answer(served, monkeypatch):
    program, posted = served(never_looks)
    monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    program.lay(LATE)
    with posted() as late:
        assert program.started.wait(30)
        with posted():
            time.sleep(0.2)  # until its handler waits for the late case
        program.release.set()
        assert late.getresponse().status == 201
        program.lay("third")
        with posted() as answer:
            assert answer.getresponse().status == 201
    assert program.files == ["third"]


def test_outputs_are_handed_over_all_or_none(tmp_path, monkeypatch):
    near, far = socket.socketpair()
    replace = Path.replace

    def go(path, target):
        far.close()  # while files are moved
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", go)
    call = Call(near, lambda: 0)
    with near, pytest.raises(Abandoned), call.delivered(tmp_path / "output") as folder:
        for name in "ab":
            (folder / name).write_text(name)
    assert [*(tmp_path / "output").iterdir()] == []


def test_a_lone_case_writes_in_place(tmp_path):
    with delivered(tmp_path) as folder:
        assert folder == tmp_path
