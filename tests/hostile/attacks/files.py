"""Outputs that are no plain files under plain names, no one file, or none at all."""

import os
import socket

from .tools import HTML, OUT, PLACE, at, beside, child, good, upwards


def file_instead_of_the_folder():
    """missing output: images/instance-labels"""
    PLACE.parent.mkdir()
    PLACE.write_text("hi")


def links_to_files_of_the_host():
    """bad output: a link"""
    for number, path in enumerate(upwards("canary/secret.tif")):
        beside(f"{number}.tif").symlink_to(path)


def socket_beside_the_output():
    """bad output: a socket"""
    good()
    here = os.getcwd()  # noqa: PTH109 - to go back
    os.chdir(OUT)  # a socket's name has at most 108 bytes
    socket.socket(socket.AF_UNIX).bind("s")
    os.chdir(here)


def modes_without_rights():
    """ok | bad output: cannot be read"""
    good()
    (PLACE / "labels.tif").chmod(0)
    PLACE.chmod(0)


def setuid_file():
    """ok"""
    good()
    (PLACE / "labels.tif").chmod(0o6777)


def folders_3000_deep():
    """bad output: folders in each other"""
    dig = "os.mkdir('d'); os.chdir('d')"
    child(f"import os\nos.chdir({str(OUT)!r})\nfor _ in range(3000): {dig}")


def sparse_file_of_10_gb():
    """bad output | non-zero exit"""
    good()
    os.truncate(PLACE / "labels.tif", 10**10)


ATTACKS = {
    "missing output: nothing in /output": {
        "nothing": lambda: None,
        "folder_instead_of_an_image": lambda: at().mkdir(),
    },
    "missing output: expected one image, found none": {
        "nothing_in_the_socket": lambda: (OUT / "note.txt").write_text("hi"),
    },
    "bad output: .tif": {"text_instead_of_an_image": lambda: at("a.txt").write_text("hi")},
    "bad output: labels.tif": {"empty_file": lambda: at().touch()},
    "bad output: a link": {
        "link_to_a_folder": lambda: (OUT / "images").symlink_to("/etc"),
    },
    "bad output: no printable": {
        "name_with_escape_codes": lambda: good("\x1b[2J\x1b]0;x\x07.tif"),
    },
    "ok": {
        "name_of_255_bytes": lambda: good("n" * 251 + ".tif"),
        "name_of_255_bytes_beyond_ascii": lambda: good("核" * 83 + "aa.tif"),
        "name_with_html": lambda: good(HTML.replace("/", "") + ".tif"),
        "name_like_an_option": lambda: good("-rf.tif"),
    },
}
