"""Servers that do not start, or say that they have started and have not."""

import os
import signal
import sys
import time


def answer_500(handler):
    """not answered with 200"""
    handler.do_GET = lambda self: self.answer(500, "not yet")


def answer_garbage(handler):
    """not answered with 200 | no answer"""
    handler.do_GET = lambda self: self.connection.sendall(b"\0\xff" * 100)


def hang(handler):
    """no answer"""
    handler.do_GET = lambda self: time.sleep(600)


def answer_endlessly(handler):
    """no answer"""

    def drops(self):
        while True:
            self.connection.sendall(b"x")
            time.sleep(0.5)

    handler.do_GET = drops


def never_listen(handler):
    """no server listens on port 4743"""
    time.sleep(600)


def die(handler):
    """<b>no</b>"""
    sys.stderr.write("<b>no</b> model\n")
    sys.exit(1)


def crash(handler):
    """exit code 139"""
    os.kill(os.getpid(), signal.SIGSEGV)


def say_much_and_die(handler):
    """exit code 1 | xxx"""
    for _ in range(20):
        os.write(2, b"x" * 2**20)
    sys.exit(1)
