"""Servers that answer in a bad way, by the handler of the request that a case is."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

OUT = Path("/output")


def _answer(handler, data):
    """Send bytes in place of an answer."""
    handler.done = True
    handler.connection.sendall(data)


def _write():
    (OUT / "result").write_text("done")


def answer_endlessly(handler):
    """ok | non-zero exit | time-out"""
    _write()
    handler.done = True
    while True:
        handler.connection.sendall(b"HTTP/1.1 201 Created\r\nx: y\r\n\r\n" * 1000)


def answer_with_an_endless_head(handler):
    """non-zero exit | time-out"""
    _write()
    handler.done = True
    while True:
        handler.connection.sendall(b"x-header: y\r\n" * 1000)


def answer_drop_by_drop(handler):
    """time-out | ok"""
    _write()
    handler.done = True
    for byte in b"HTTP/1.1 201 Created\r\n\r\n" + b"x" * 1000:
        handler.connection.send(bytes([byte]))
        time.sleep(0.3)


def answer_and_keep_the_line(handler):
    """time-out | ok"""
    _write()
    _answer(handler, b"HTTP/1.1 201 Created\r\n\r\n0")
    time.sleep(600)


def answer_with_a_reset(handler):
    """non-zero exit"""
    handler.done = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def answer_well_without_an_output(handler):
    """missing output: nothing in /output"""
    handler.answer(201, "0")
    handler.done = True


def die_after_the_answer(handler):
    """ok | killed | non-zero exit"""
    _write()
    handler.answer(201, "0")
    handler.done = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    os._exit(3)


def change_the_output_after_the_answer(handler):
    """ok | bad output"""
    (OUT / "result").write_text("done")
    change = "while True:\n for n in range(50): open(f'/output/{n}', 'w').write('x' * n)"
    mix = "\n for n in range(50): os.path.exists(f'/output/{n}') and os.remove(f'/output/{n}')"
    subprocess.Popen([sys.executable, "-c", f"import os\n{change}{mix}"], start_new_session=True)


ATTACKS = {
    "non-zero exit": {
        "answer_garbage": lambda handler: _answer(
            handler, os.urandom(4096).replace(b"\r\n\r\n", b"")
        ),
        "answer_garbage_in_the_form_of_an_answer": lambda handler: _answer(
            handler, b"HTTP/1.1 9999999999999999999999 \xff\xfe\r\n\r\n" + b"\0" * 100
        ),
    },
    "non-zero exit | bad output | missing output": {
        "answer_a_failure_with_code_0": lambda handler: _answer(
            handler, b"HTTP/1.1 500 x\r\n\r\n0"
        ),
    },
    "time-out: time limit": {"hang": lambda _: time.sleep(600)},
    "killed: ended by SIGKILL": {"die": lambda _: os.kill(os.getpid(), signal.SIGKILL)},
}
