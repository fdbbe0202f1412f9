"""Attempts on what a container must not do; the kernel refuses each, and the program fails."""

import ctypes
import os
import socket
import subprocess
from pathlib import Path


def mount_a_file_system():
    """non-zero exit: Operation not permitted"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/output", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter_a_new_user_namespace():
    """non-zero exit: Operation not permitted"""
    _call("unshare", 0x10000000)


def open_a_file_of_the_host_by_its_number():
    """non-zero exit: Operation not permitted | Function not implemented"""
    root = os.open("/etc/hostname", os.O_RDONLY)  # it is mounted from the host
    handle = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    _call("open_by_handle_at", root, ctypes.create_string_buffer(handle), 0)


def _call(name, *arguments):
    """Call a function of the kernel, which raises an OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


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
    assert {path.stat().st_uid for path in Path("/proc").glob("[0-9]*")} <= {0, os.getuid()}
    assert len(list(Path("/proc").glob("[0-9]*"))) < 10
    devices = {path.name for path in Path("/dev").iterdir()}
    assert not devices & {"sda", "vda", "kmsg", "mem", "kvm", "nvidia0"}, devices
    Path("/output/result").touch()


ATTACKS = {
    "non-zero exit: Read-only file system": {
        "write_to_the_input": lambda: Path("/input/x").touch(),
        "remove_the_input": lambda: Path("/input/act.py").unlink(),
        "write_to_the_program": lambda: Path("/opt/app/x").touch(),
    },
    "non-zero exit: Read-only file system | Operation not permitted": {
        "change_the_modes_of_the_input": lambda: Path("/input").chmod(0o777),
    },
    "non-zero exit: Read-only file system | Permission denied": {
        "write_to_the_root": lambda: Path("/x").touch(),
        "write_to_the_kernel": lambda: Path("/proc/sys/kernel/core_pattern").write_text(
            "|/output/x"
        ),
        "leave_its_control_group": lambda: next(
            Path("/sys/fs/cgroup").rglob("cgroup.procs")
        ).write_text("1"),
    },
    "non-zero exit: Operation not permitted": {
        "change_the_root": lambda: os.chroot("/tmp"),
        "open_a_raw_socket": lambda: socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
        ),
        "become_root": lambda: os.setuid(0),
        "give_the_output_away": lambda: os.chown("/output", 0, 0),
        "make_a_device": lambda: os.mknod("/output/d", 0o20666, os.makedev(1, 3)),
        "make_a_disk": lambda: os.mknod("/output/d", 0o60666, os.makedev(254, 0)),
    },
    "non-zero exit: unreachable": {
        "connect_to_a_network": lambda: socket.create_connection(("192.0.2.1", 80), 3),
        "send_to_a_network": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
            b"x", ("192.0.2.1", 53)
        ),
    },
    "non-zero exit: name resolution": {
        "resolve_a_name": lambda: socket.getaddrinfo("example.org", 80),
    },
    "non-zero exit: exit status 1": {
        "become_root_by_a_setuid_program": lambda: subprocess.run(
            ["su", "-c", "id"], stdin=subprocess.DEVNULL, check=True
        ),
    },
    "non-zero exit: Permission denied | Operation not permitted": {
        "raise_its_priority": lambda: os.nice(-5),
        "be_spared_when_memory_lacks": lambda: Path("/proc/self/oom_score_adj").write_text("-1000"),
    },
}
