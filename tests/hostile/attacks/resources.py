"""Programs that take more than they may have, or end in a bad way."""

import ctypes
import faulthandler
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path

from .tools import child

OUT = Path("/output")
MB = bytes(2**20)
HOG = "b = bytearray()\nwhile True: b += b'x' * 2**22"


def _fill(folder):
    for number in range(1000):
        Path(f"{folder}/{number}").write_bytes(MB)


def _done():
    (OUT / "result").write_text("done")


def fork_bomb():
    """non-zero exit: Resource temporarily unavailable | takes no request"""
    while True:
        if os.fork() == 0:
            time.sleep(10)
            os._exit(0)


def thread_bomb():
    """non-zero exit: can't start new thread | takes no request"""
    while True:
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()


def endless_allocation_in_a_child():
    """out of memory: memory limit of 0.2 GiB exceeded"""
    child(HOG)
    _done()


def endless_allocation_in_pieces():
    """out of memory: memory limit of 0.2 GiB exceeded"""
    pieces = []
    while True:
        pieces.append(mmap.mmap(-1, 2**22))
        pieces[-1].write(bytes(2**22))


def fill_the_output_with_a_file():
    """non-zero exit: File too large"""
    with (OUT / "f").open("wb") as file:
        while True:
            file.write(MB)
            file.flush()


def fill_the_output_with_files():
    """bad output: bytes of output | output limit"""
    for number in range(9):
        (OUT / str(number)).write_bytes(MB)


def fill_the_output_and_wait():
    """bad output: output limit of 0.00195312 GiB exceeded"""
    fill_the_output_with_files()
    time.sleep(60)


def fill_the_output_without_names():
    """ok | bad output: No space left on device"""
    handles = []
    for number in range(40):  # 80 MB
        handles.append((OUT / str(number)).open("wb"))
        (OUT / str(number)).unlink()
        handles[-1].write(MB * 2)
        handles[-1].flush()
    time.sleep(1.5)
    _done()


def fill_shared_segments():
    """out of memory | non-zero exit: limit | No space left on device"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    while True:
        place = libc.shmat(libc.shmget(0, 2**22, 0o1600), None, 0)
        if place in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        ctypes.memset(place, 1, 2**22)


def signal_the_first_process():
    """ok | killed | non-zero exit | missing output"""
    for number in range(1, 32):
        os.kill(1, number)
        time.sleep(0.01)
    _done()


def take_the_rights_of_the_output():
    """ok | bad output | non-zero exit: cannot be read | Operation not permitted"""
    _done()
    OUT.chmod(0)


def a_million_files():
    """bad output | time-out: more than | limit"""
    for number in range(10**6):
        os.close(os.open(f"/output/{number}", os.O_CREAT))


def folders_100000_deep():
    """bad output: folders in each other"""
    dig = "os.mkdir('d'); os.chdir('d')"
    child(f"import os\nos.chdir('/output')\nfor _ in range(10**5): {dig}")


def zombie_grandchildren():
    """ok"""
    fork = "if os.fork() == 0: os._exit(0)"
    child(f"import os, time\nfor _ in range(30):\n    {fork}\ntime.sleep(0.2)")
    _done()


def orphans_that_hold_the_streams():
    """ok"""
    child("import os, time\nif os.fork() == 0: os.setsid(); time.sleep(5)")
    _done()


def five_gb_of_words():
    """ok | time-out"""
    for _ in range(5 * 2**10):
        os.write(1, b"x" * 2**20)
    _done()


def a_million_lines():
    """ok | time-out"""
    for number in range(10**6):
        sys.stdout.write(f"progress {number % 100} %\n")
    sys.stdout.flush()
    _done()


def open_many_files():
    """non-zero exit: Too many open files"""
    handles = []
    while True:
        handles.append(Path("/dev/null").open())  # noqa: SIM115


def compute_for_ever():
    """time-out: time limit of 1 s exceeded"""
    while True:
        pass


def ignore_the_request_to_end():
    """time-out: time limit of 1 s exceeded"""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    time.sleep(600)


ATTACKS = {
    "out of memory: memory limit of 0.2 GiB exceeded": {
        "endless_allocation": lambda: exec(HOG),
        "fill_tmp": lambda: _fill("/tmp"),
    },
    "non-zero exit | out of memory: No space left on device | limit": {
        "fill_shared_memory": lambda: _fill("/dev/shm"),
    },
    "killed: ended by SIGKILL": {
        "kill_itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "leave_with_a_code_of_a_signal": lambda: os._exit(137),
    },
    "killed | non-zero exit": {"kill_all": lambda: os.kill(-1, signal.SIGKILL)},
    "killed: ended by SIGSEGV": {"crash": lambda: faulthandler._sigsegv()},
    "killed: ended by SIGABRT": {"abort": lambda: os.abort()},
    "missing output | non-zero exit": {"leave_without_an_output": lambda: os._exit(0)},
    "time-out: time limit of 1 s exceeded": {
        "sleep_for_ever": lambda: time.sleep(600),
        "stop_itself": lambda: signal.pthread_kill(threading.get_ident(), signal.SIGSTOP),
    },
}
