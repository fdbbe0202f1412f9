"""Outputs that are no plain files under plain names, no one file, or none at all."""

import os
import socket

from .tools import HTML, INPUT, OUT, PLACE, child, good, upwards

HOST = "/etc/hostname"


def nothing():
    """missing output: nothing in /output"""


def nothing_in_the_socket():
    """missing output: expected one image, found none"""
    (OUT / "note.txt").write_text("hi")


def two_outputs():
    """bad output: expected one image, found 2"""
    good("a.tif")
    good("b.tif")


def text_instead_of_an_image():
    """bad output: .tif"""
    PLACE.mkdir(parents=True)
    (PLACE / "a.txt").write_text("hi")


def folder_instead_of_an_image():
    """missing output: nothing in /output"""
    (PLACE / "labels.tif").mkdir(parents=True)


def file_instead_of_the_folder():
    """missing output: images/instance-labels"""
    PLACE.parent.mkdir()
    PLACE.write_text("hi")


def empty_file():
    """bad output: labels.tif"""
    PLACE.mkdir(parents=True)
    (PLACE / "labels.tif").touch()


def link_to_a_file():
    """bad output: a link"""
    PLACE.mkdir(parents=True)
    (PLACE / "labels.tif").symlink_to(HOST)


def link_to_a_folder():
    """bad output: a link"""
    (OUT / "images").symlink_to("/etc")


def link_to_itself():
    """bad output: a link"""
    PLACE.mkdir(parents=True)
    (PLACE / "labels.tif").symlink_to("labels.tif")


def link_to_the_input():
    """bad output: a link"""
    PLACE.mkdir(parents=True)
    (PLACE / "labels.tif").symlink_to(next((INPUT / "images" / "microscopy-image").iterdir()))


def links_to_files_of_the_host():
    """bad output: a link"""
    good()
    for number, path in enumerate(upwards("canary/secret.tif")):
        (OUT / f"{number}.tif").symlink_to(path)


def links_to_folders_of_the_host():
    """bad output: a link"""
    good()
    for number, path in enumerate(upwards("canary")):
        (OUT / str(number)).symlink_to(path)


def hard_link():
    """bad output: a file with more than one name"""
    good()
    (OUT / "second").hardlink_to(PLACE / "labels.tif")


def pipe_as_output():
    """bad output: a pipe"""
    PLACE.mkdir(parents=True)
    os.mkfifo(PLACE / "labels.tif")


def pipe_beside_the_output():
    """bad output: a pipe"""
    good()
    os.mkfifo(OUT / "pipe")


def pipe_whose_name_is_no_utf8():
    """bad output: \\udcff"""
    good()
    os.mkfifo(os.fsencode(OUT) + b"/\xff\xfe")


def socket_beside_the_output():
    """bad output: a socket"""
    good()
    here = os.getcwd()  # noqa: PTH109 - to go back
    os.chdir(OUT)  # a socket's name has at most 108 bytes
    socket.socket(socket.AF_UNIX).bind("s")
    os.chdir(here)


def file_whose_name_is_no_utf8():
    """bad output: \\udcff"""
    good(b"\xff\xfe.tif")


def folder_whose_name_is_no_utf8():
    """bad output: \\udcff"""
    good()
    os.mkdir(os.fsencode(OUT) + b"/\xff")  # noqa: PTH102 - of bytes


def name_of_255_bytes():
    """ok"""
    good("n" * 251 + ".tif")


def name_of_255_bytes_beyond_ascii():
    """ok"""
    good("核" * 83 + "aa.tif")


def name_with_a_line_feed():
    """bad output: no printable"""
    good("a\nfailed: b.tif")


def name_with_escape_codes():
    """bad output: no printable"""
    good("\x1b[2J\x1b]0;x\x07.tif")


def name_that_turns_the_writing():
    """bad output: no printable"""
    good("\u202egpj.tif")


def name_with_html():
    """ok"""
    good(HTML.replace("/", "") + ".tif")


def name_with_html_of_a_pipe():
    """bad output: <script>"""
    good()
    os.mkfifo(OUT / HTML.replace("/", ""))


def name_like_an_option():
    """ok"""
    good("-rf.tif")


def modes_without_rights():
    """ok | bad output: cannot be read"""
    good()
    (PLACE / "labels.tif").chmod(0)
    PLACE.chmod(0)


def setuid_file():
    """ok"""
    good()
    (PLACE / "labels.tif").chmod(0o6777)


def deep_folders():
    """bad output: folders in each other"""
    (OUT / "/".join("d" * 40)).mkdir(parents=True)


def folders_3000_deep():
    """bad output: folders in each other"""
    dig = "os.mkdir('d'); os.chdir('d')"
    child(f"import os\nos.chdir({str(OUT)!r})\nfor _ in range(3000): {dig}")


def a_thousand_and_one_files():
    """bad output: more than 1000 files"""
    for number in range(1001):
        (OUT / str(number)).touch()


def sparse_file_of_10_gb():
    """bad output | non-zero exit"""
    good()
    os.truncate(PLACE / "labels.tif", 10**10)
