"""The end of a program, as a shell sees it."""

import os
import signal
import subprocess
import sys
import time

import pytest

HEAD = "import errno, os, sys, time\nfrom cytosuite.errors.ending import end\nfrom cytosuite.errors import *\n"
TORCH = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 1811939328 bytes. Error code 12 (Cannot allocate memory)"
)


def _text(body):
    return f"{HEAD}def program():\n    {body}\nend(program)"


def _program(body, **options):
    return subprocess.Popen(
        [sys.executable, "-c", _text(body)],
        stderr=subprocess.PIPE,
        text=True,
        **({"stdout": subprocess.PIPE} | options),
    )


def _end(body, **options):
    process = _program(body, **options)
    out, errors = process.communicate(timeout=1800)
    return process.returncode, out, errors


@pytest.mark.parametrize(
    "body, code, line",
    [
        ("print('fine')", 0, ""),
        ("return 1", 1, ""),
        ("raise InputError('a: expected b\\nfound c')", 2, "cytosuite: a: expected b found c\n"),
        ("raise ModelError('none fits')", 3, "cytosuite: none fits\n"),
        ("open('/proc/no/x', 'w')", 2, "cytosuite: /proc/no/x: cannot be read or written (No such"),
        ("os.rename(sys.executable, '/proc/no')", 2, "cytosuite: /proc/no: cannot be read or"),
        ("raise OSError(errno.ENOSPC, 'Full')", 2, "cytosuite: a file or the output cannot be"),
        ("import nowhere", 2, "cytosuite: this command needs nowhere, not installed here: "),
        ("bytearray(2**62)", 2, "cytosuite: not enough memory is free"),
        (
            f"raise RuntimeError({TORCH!r})",
            2,
            "cytosuite: not enough memory is free (can't allocate",
        ),
        ("raise KeyboardInterrupt", 130, "cytosuite: interrupted; what is finished is kept"),
        ("raise BrokenPipeError", 141, ""),
        ("print('\\udcff µ')", 0, ""),
        ("import warnings; warnings.warn('of a library')", 0, ""),
    ],
)
def test_the_end_is_a_code_and_at_most_one_line(capsys, body, code, line):
    with pytest.raises(SystemExit) as caught:
        exec(_text(body), {})
    errors = capsys.readouterr().err
    assert caught.value.code == code, errors
    assert errors.startswith(line)
    assert errors.count("\n") == bool(line)


def test_an_error_of_the_program_keeps_its_traceback():
    with pytest.raises(OSError, match="of no number"):
        exec(_text("raise OSError('of no number')"), {})
    code, _, errors = _end("1 / 0")
    assert (code, errors[:9]) == (1, "Traceback")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_tidies_up(tmp_path, number):
    place = tmp_path / "there"
    body = f"""
    try:
        open({str(place)!r}, "w").close()
        for _ in range(600):  # a signal between the last check and a sleep is seen after the sleep
            time.sleep(0.1)
    finally:
        os.remove({str(place)!r})"""
    # A starter such as nohup may have it ignored or blocked, and a child inherits both.
    handler = signal.signal(number, signal.default_int_handler)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    process = _program(body)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(number, handler)
    while not place.exists():
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 130
    assert errors.count("\n") == 1
    assert not place.exists()


def test_a_pipe_that_nobody_reads_is_no_error():
    read, write = os.pipe()
    os.close(read)
    assert _end("print('a' * 10**6)", stdout=write) == (141, None, "")
    os.close(write)
