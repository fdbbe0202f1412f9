"""System calls that a file system refuses, for a program and all that it starts (seccomp, Linux).

python refusals.py ENOLCK flock,... program words...
"""

import ctypes
import errno
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {
        **{"flock": 73, "link": 86, "symlink": 88},
        **{"linkat": 265, "symlinkat": 266, "renameat2": 316},
    },
    "aarch64": {"flock": 32, "symlinkat": 36, "linkat": 37, "renameat2": 276},
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # of linux/bpf_common.h
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # of linux/seccomp.h
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2  # of linux/prctl.h


def known():
    """Return whether calls can be refused on this machine."""
    return sys.platform == "linux" and platform.machine() in NUMBERS


def words(reason, calls):
    """Return the words before those of a program, of which some calls then fail."""
    return [sys.executable, __file__, reason, ",".join(calls)]


def refuse(number, calls):
    """Let some system calls of this process fail with an error number from now on."""
    table = NUMBERS[platform.machine()]
    numbers = [table[name] for name in calls if name in table]
    lines = [(LOAD, 0, 0, 0)]
    lines += [(EQUAL, len(numbers) - place, 0, call) for place, call in enumerate(numbers)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, FAIL | number)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((NO_NEW_PRIVILEGES, 1, 0), (SECCOMP, FILTER, ctypes.addressof(program))):
        if libc.prctl(arguments[0], arguments[1], ctypes.c_void_p(arguments[2]), 0, 0):
            raise OSError(ctypes.get_errno(), "no system call can be refused here")


if __name__ == "__main__":
    refuse(getattr(errno, sys.argv[1]), sys.argv[2].split(","))
    os.execvp(sys.argv[3], sys.argv[3:])
