"""Sample the stages of every Python process of a command: `watch` beside the work.

`performance/waits.py` copies this file as ``sitecustomize.py`` to where a command and all that it
starts import it. Each process adds the CPU time since the last sample to the stage that it is at.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType

FOLDER = "CYTOSUITE_STAGES"  # variable: where the files of the processes go
STEP_S, WRITTEN_S = 0.01, 0.3
WAITING = {"wait", "acquire", "select", "poll", "sleep", "_try_wait", "accept", "readinto", "_wait"}


def stage(frame: FrameType | None, root: str) -> str:
    """Return the innermost function below `root`, and the package that it calls."""
    innermost = called = ""
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if f"{os.sep}numba{os.sep}core{os.sep}" in file:
            return "compiling"
        if file.startswith("<frozen importlib"):
            return "imports"
        if not innermost and file.startswith(root) and "site-packages" not in file:
            name = Path(file).relative_to(root).with_suffix("").as_posix()
            innermost = f"{name.removeprefix('cytosuite/').replace('/__init__', '')}.{code.co_name}"
        if not innermost:
            called = _package(file, code.co_name)
        frame = frame.f_back
    return f"{innermost} ({called})" if innermost and called else innermost or called or "start"


def _package(file: str, function: str) -> str:
    _, separator, inner = file.rpartition("site-packages" + os.sep)
    return f"{Path(inner).parts[0]} {function}" if separator else ""


def _current(threads: dict[int, FrameType]) -> FrameType | None:
    """Return the frame of the main thread or, where it waits, of one that does not."""
    main = threads.get(threading.main_thread().ident or 0)
    if main is None or main.f_code.co_name not in WAITING:
        return main
    thread = threading.get_ident()
    busy = [
        frame
        for ident, frame in threads.items()
        if ident != thread and frame.f_code.co_name not in WAITING
    ]
    return busy[0] if busy else main


def watch(folder: Path, root: str) -> None:
    """Sample until the process ends; what was found is written again and again."""
    spent: dict[str, float] = {}
    last, saved = 0.0, 0.0
    path = folder / f"{os.getpid()}-{time.time_ns()}.json"
    while True:
        time.sleep(STEP_S)
        now = time.process_time()
        if now - last > STEP_S / 4:
            name = stage(_current(sys._current_frames()), root)
            spent[name] = spent.get(name, 0.0) + now - last
            last = now
            if now - saved > WRITTEN_S:
                path.with_suffix(".part").write_text(json.dumps(spent))
                path.with_suffix(".part").rename(path)
                saved = now


def start() -> None:
    """Sample this process in a thread of its own, where a folder for the samples is named."""
    if folder := os.environ.get(FOLDER):
        arguments = (Path(folder), os.environ[FOLDER + "_ROOT"] + os.sep)
        threading.Thread(target=watch, args=arguments, daemon=True).start()


if __name__ == "sitecustomize":
    start()
    os.register_at_fork(after_in_child=start)
