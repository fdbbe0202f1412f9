"""Attempts on what a container must not do; the kernel refuses each, and the program fails."""

import ctypes
import os
import socket
import subprocess
from pathlib import Path


def write_to_the_input():
    """non-zero exit: Read-only file system"""
    Path("/input/x").touch()


def remove_the_input():
    """non-zero exit: Read-only file system"""
    Path("/input/act.py").unlink()


def change_the_modes_of_the_input():
    """non-zero exit: Read-only file system | Operation not permitted"""
    Path("/input").chmod(0o777)


def write_to_the_root():
    """non-zero exit: Read-only file system | Permission denied"""
    Path("/x").touch()


def write_to_the_program():
    """non-zero exit: Read-only file system"""
    Path("/opt/app/x").touch()


def write_to_the_kernel():
    """non-zero exit: Read-only file system | Permission denied"""
    Path("/proc/sys/kernel/core_pattern").write_text("|/output/x")


def mount_a_file_system():
    """non-zero exit: Operation not permitted"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/output", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def change_the_root():
    """non-zero exit: Operation not permitted"""
    os.chroot("/tmp")


def connect_to_a_network():
    """non-zero exit: unreachable"""
    socket.create_connection(("192.0.2.1", 80), 3)


def send_to_a_network():
    """non-zero exit: unreachable"""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))


def open_a_raw_socket():
    """non-zero exit: Operation not permitted"""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def resolve_a_name():
    """non-zero exit: name resolution"""
    socket.getaddrinfo("example.org", 80)


def become_root():
    """non-zero exit: Operation not permitted"""
    os.setuid(0)


def become_root_by_a_setuid_program():
    """non-zero exit: exit status 1"""
    subprocess.run(["su", "-c", "id"], stdin=subprocess.DEVNULL, check=True)


def give_the_output_away():
    """non-zero exit: Operation not permitted"""
    os.chown("/output", 0, 0)


def make_a_device():
    """non-zero exit: Operation not permitted"""
    os.mknod("/output/d", 0o20666, os.makedev(1, 3))


def raise_its_priority():
    """non-zero exit: Permission denied | Operation not permitted"""
    os.nice(-5)


def search_for_the_truth():
    """ok"""
    suspects = [
        Path(folder) / name
        for folder, folders, names in os.walk("/")
        if not folder.startswith(("/input", "/output", "/opt/python", "/usr", "/proc", "/sys"))
        for name in names
        if name.endswith((".tif", ".mha", "case.json", ".sock"))
    ]
    assert suspects == [], suspects
    Path("/output/result").touch()


def search_for_other_programs():
    """ok"""
    owners = {path.stat().st_uid for path in Path("/proc").glob("[0-9]*")}
    assert owners <= {0, os.getuid()}
    assert len(list(Path("/proc").glob("[0-9]*"))) < 10
    devices = {path.name for path in Path("/dev").iterdir()}
    assert not devices & {"sda", "vda", "kmsg", "mem", "kvm", "nvidia0"}, devices
    Path("/output/result").touch()
