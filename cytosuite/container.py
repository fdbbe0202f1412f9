"""Entry point of a container, by the platform's two interfaces: ``exec`` and ``invoke``.

``exec`` reads one case from ``/input``, writes ``/output`` and exits; ``invoke`` is a server for
many: it answers ``GET /health`` with 200 and ``POST /invoke`` with 201 on port 4743, in images on
all interfaces, else on the loopback device. A case ends when its caller goes.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from cytosuite import __version__
from cytosuite.contract.call import Abandoned, Call, attended, delivered
from cytosuite.contract.choice_warnings import choice_warnings, stretched
from cytosuite.contract.client import PORT
from cytosuite.contract.interface import read_case, write_outputs
from cytosuite.contract.learning import REQUEST, Learning, cpu_seconds
from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.metadata import as_plane, with_given
from cytosuite.contract.points import Points
from cytosuite.contract.progress import gathered, shown, state
from cytosuite.contract.select import FOLDER, SIZE, Selection, describe, select
from cytosuite.contract.tasks import IMAGE, TASKS, Task
from cytosuite.contract.weights import (
    find_folder,
    module_of,
    open_model,
    read_cards,
    trained_on,
)
from cytosuite.errors import CytosuiteError, InputError, RoomError
from cytosuite.files import Entries, Json, TextSeq, remove, write_json
from cytosuite.volume import Volume

MODELS = (Path("/opt/ml/model"), Path("/opt/app/model"))  # a mounted tarball; part of the image
OUT_OF_MEMORY = 4
GPU_FULL = "out of GPU memory: take a GPU with more, a smaller image, or the CPU"
TERMINATED = 128 + signal.SIGTERM


class Program(Protocol):
    """Work that is loaded once and done case by case."""

    def run_case(self) -> Entries:
        """Do the case in the input folder; return the record, with its ``warnings``."""


class Algorithm:
    """An algorithm that is loaded once and predicts case by case."""

    def __init__(self, name: str, inputs: Path, outputs: Path, models: Sequence[Path]) -> None:
        self.inputs, self.outputs = inputs, outputs
        module = module_of(name, "predict", "no such algorithm here")
        self.predict = module.predict
        self.manifest = read_algorithm(Path(str(module.__file__)).with_name("algorithm.toml"))
        self.folder = find_folder(models)
        self.cards = read_cards(self.folder, name)

    def run_case(self) -> Json:
        """Predict the case in the input folder, write its outputs, and return the record."""
        start = time.perf_counter()
        used = cpu_seconds()
        task = TASKS[self.manifest.task]
        case = read_case(self.inputs, task)
        with gathered() as facts, shown():
            outputs, selection, warnings = self.answer(case.sockets)
        with delivered(self.outputs) as folder:
            write_outputs(folder, task, case, outputs)
            record = {
                "algorithm": self.manifest.name,
                "version": self.manifest.version,
                "library": __version__,
                **selection.summary,
                "fallback": selection.fallback,
                "by": selection.by,
                "tie": list(selection.tie),
                "others": [candidate.summary for candidate in selection.others],
                "sources": dict(case.sources),
                "warnings": [*case.warnings, *warnings],
                "seconds": time.perf_counter() - start,
                "cpu_seconds": cpu_seconds() - used,
                "network_seconds": facts.network_seconds,
                "facts": facts.words,
            }
            if path := os.environ.get("CYTOSUITE_RECORD"):
                place = Path(path)
                write_json(folder / place.name if place.parent == self.outputs else place, record)
        return record

    def answer(self, inputs: Entries) -> tuple[Entries, Selection, TextSeq]:
        """Return the outputs for one case, the choice of the model, and the warnings on it."""
        if absent := set(self.manifest.needs) - set(inputs):
            raise InputError(
                f"{self.manifest.name} needs the inputs {', '.join(self.manifest.needs)}, found "
                f"none of {', '.join(sorted(absent))}"
            )
        task = TASKS[self.manifest.task]
        stated = {
            line
            for value in inputs.values()
            if isinstance(value, Volume)
            for line in value.origin.warnings
        }
        stack = plane = None
        kind = task.main_output.kind if task.main_output else "json"
        if kind in ("labels", "points"):  # of objects in it
            from cytosuite.segmentation.defects import mended, upright  # scipy loads for long

            inputs = mended(inputs, kind)
            if kind == "labels" and (stack := inputs.get(IMAGE.slug)):
                plane = as_plane(stack, self.cards)
                inputs = {**inputs, IMAGE.slug: plane}
        images = (inputs.get(socket.slug) for socket in task.inputs)
        seen = (with_given(image, task, inputs) for image in images if isinstance(image, Volume))
        main = next(seen, None)
        values = {slug: value for slug, value in inputs.items() if not isinstance(value, Volume)}
        facts = describe(main, values)
        if folder := os.environ.get("CYTOSUITE_FOLDER"):
            facts[FOLDER] = folder
        if SIZE in self.manifest.select.keys:
            from cytosuite.networks.scale import with_size  # scipy takes long to import

            facts = with_size(facts, main, self.cards)
        selection = select(self.cards, facts, self.manifest.select)
        card = selection.card
        state(weights=(card.sha256 or "none")[:12], trained=trained_on(card))
        if kind == "labels":
            inputs = upright(inputs, card.describes)
        outputs = self.predict(inputs, open_model(self.folder, card))
        if stack and plane is not stack:
            outputs = {
                slug: replace(one, array=one.array[None], axes=stack.axes, spacing=stack.spacing)
                for slug, one in outputs.items()
            }
        lines = [
            *(main.origin.warnings if main else ()),
            *choice_warnings(selection, main, facts),
            *_output_warnings(task, outputs),
        ]
        return outputs, selection, [line for line in dict.fromkeys(lines) if line not in stated]


def _output_warnings(task: Task, outputs: Entries) -> Iterator[str]:
    """Yield the warnings on outputs, and on labels that are stretched."""
    labels = {socket.slug for socket in task.outputs if socket.kind == "labels"}
    for slug, output in outputs.items():
        if isinstance(output, Points):
            yield from output.warnings
        if isinstance(output, Volume):
            yield from output.origin.warnings
            if slug in labels and (line := stretched(output)):
                yield line


def attempt(program: Program) -> int:
    """Run one case; stderr, shown to users, has its warnings or, as last line, the failure."""
    try:
        with attended():
            warnings = program.run_case()["warnings"]
        for line in warnings:
            _say(f"warning: {line}", 0)
    except Abandoned:
        return _say("given up: nobody waits for this case any longer", 1)
    except RoomError as error:
        return _say(str(error), OUT_OF_MEMORY)
    except CytosuiteError as error:
        return _say(str(error), error.exit_code)
    except MemoryError:
        return _say("out of memory: give the container more, or a smaller image", OUT_OF_MEMORY)
    except Exception as error:
        if _gpu_is_full(error):
            return _say(f"{GPU_FULL} ({str(error).partition('. GPU')[0]})", OUT_OF_MEMORY)
        traceback.print_exc()
        return _say(f"{type(error).__name__}: {error}", 1)
    return 0


def _gpu_is_full(error: Exception) -> bool:
    """Return whether a GPU has no memory left: torch's own error, or one of its libraries."""
    torch = sys.modules.get("torch")  # loaded by the algorithm, or not needed
    if torch is None or not isinstance(error, RuntimeError):
        return False
    words = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(
        word in str(error) for word in words
    )


def serve(program: Program, listener: socket.socket) -> NoReturn:
    """Answer ``/health`` and ``/invoke`` until SIGTERM, one case at a time; see `Call`."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # one case needs none

    busy = threading.Lock()
    abandoned: list[Call] = []

    class Handler(BaseHTTPRequestHandler):
        """The two requests of the platform."""

        def do_GET(self) -> None:
            """Answer that the model is loaded."""
            self._answer(200 if self.path == "/health" else 404, "ok")

        def do_POST(self) -> None:
            """Run the case in the input folder."""
            if self.path != "/invoke":
                self._answer(404, "expected POST /invoke")
                return
            call = Call(self.connection, lambda: attempt(program))
            with busy:
                call.follow(abandoned)
                if not call.watched():
                    if call.is_alive():  # it never began where its caller went before
                        abandoned.append(call)
                    return
                for case in abandoned:  # it may have begun to write
                    remove(case.private)
            self._answer(201 if call.code == 0 else 500, str(call.code))

        def _answer(self, status: int, text: str) -> None:
            with suppress(ConnectionError):  # the caller has just gone
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Keep stderr for warnings: the platform shows it to users."""

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = listener
    server.server_activate()
    server.serve_forever()
    raise SystemExit(0)


def main(arguments: TextSeq | None = None) -> int:
    """Execute a command of the container and return its exit code."""
    parser = command_parser("cytosuite.container", str(__doc__))
    model = os.environ.get("CYTOSUITE_MODEL") or None
    parser.add_argument("--model", type=Path, default=model, help="folder of the models")
    parser.add_argument("--algorithm", default=os.environ.get("CYTOSUITE_ALGORITHM", ""))
    chosen = parser.parse_args(arguments)
    models = [chosen.model] if chosen.model else MODELS

    def load() -> Program:
        """Return the algorithm, or its training where the input folder asks for one."""
        if (chosen.input / REQUEST).is_file():
            return Learning(chosen.algorithm, chosen.input, chosen.output)
        return Algorithm(chosen.algorithm, chosen.input, chosen.output, models)

    return execute(chosen.command, load)


def command_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a container's command line: the action, and the two folders."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("command", choices=("exec", "invoke"), nargs="?", default="exec")
    source = os.environ.get("CYTOSUITE_INPUT", "/input")
    target = os.environ.get("CYTOSUITE_OUTPUT", "/output")
    parser.add_argument("--input", type=Path, default=source, help="folder of the case")
    parser.add_argument("--output", type=Path, default=target, help="folder for the results")
    return parser


def execute(command: str, load: Callable[[], Program]) -> int:
    """Load a program, run one case (``exec``) or serve (``invoke``), and return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    _end_forks_by_sigterm()
    try:
        program = load()
    except CytosuiteError as error:
        return _say(str(error), error.exit_code)
    if command == "invoke":
        descriptor = os.environ.get("CYTOSUITE_LISTEN_FD")
        if descriptor is None:
            address = os.environ.get("CYTOSUITE_ADDRESS", "127.0.0.1")  # images set all interfaces
            serve(program, socket.create_server((address, PORT)))
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        serve(program, socket.socket(fileno=int(descriptor)))
    codes = []  # of another thread: the main thread stays free for SIGTERM
    worker = threading.Thread(target=lambda: codes.append(attempt(program)), daemon=True)
    worker.start()
    worker.join()
    return codes[0] if codes else 1


def _end_with_stdin() -> None:
    """End together with the program that started this one and holds stdin open."""
    sys.stdin.buffer.read()
    os._exit(TERMINATED)


def _end_forks_by_sigterm() -> None:
    """Give processes that a tool forks the default of SIGTERM, by which its pools end them.

    Python may never run a handler in one that waits for a lock, and forgets signals from before
    it is ready: SIGTERM is blocked until the default is in place.
    """
    end = {signal.SIGTERM}

    def default() -> None:
        """Give a new process the default of SIGTERM, then let signals through."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, end)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, end),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, end),
        after_in_child=default,
    )


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End at once: files under their final names are complete."""
    _say("stopped by SIGTERM before the case was done", TERMINATED)
    os._exit(TERMINATED)


def _say(line: str, code: int) -> int:
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
