"""Alterations of an input: of its bytes, its words, its tags, its attributes and its names."""

import io
import re
import struct
import zlib
from pathlib import PurePosixPath

import h5py
import numpy as np
import tifffile

FEW = (0, 1, 2, 3, 7, 8, 16, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS = (*FEW, 2**63 - 1, 2**63, 2**64 - 1, -1)
WORDS = [
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"-inf", b"1e999", b"-1e999", b"1e-320",
    b"0", b"-0.0", b"-1", b"1", b"2", b"1e300", b"1e-300", b"0x10", b"1_0", b"1/0", b"0/0",
    *(str(n).encode() for n in (2**31, 2**63, 2**64, 10**30)),
    b"9" * 400, b"0." + b"3" * 400, "\uff11\u0663".encode(), b"true", b"null", b"None", b"[]",
    b"{}", b'""', b'"x"', b'"\\ud800"', b'"\\u0000"', b"\\ud800", b"\xff\xfe\xfa", b"\x00",
    b"\x1b[31m", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"<script>alert(1)</script>",
    b"[" * 200, b"[" * 20000, b'{"a":' * 3000, b"'" * 3, b'"', b"\\", b"%s%n{0}", b"&amp;&lt;",
    b"../neighbour/pixels.raw", b"../neighbour/other.tif", b"/dev/zero", b"a.tif", b"a.mha",
    b"LOCAL", b"LIST", b"%03d", b"True", b"False", b"TYX", b"CYX", b"ZYX", b"YX", b"QQ", b"XYZ",
    b"MET_UCHAR", b"MET_DOUBLE", b"MET_FLOAT_ARRAY", b"um", b"nm", b"cm", b"inch", b"\\u00B5m",
    b"x" * 5000, b",", b"\n", b"\r\n", b"=", b":", b" ", b"<", b"</OME>", b"]]>", b"<!--",
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>',
]  # fmt: skip
TOKEN = re.compile(rb"[A-Za-z_][\w.-]*|-?\d[\d.eE+-]*|\"[^\"\n]*\"|[^\sA-Za-z\d]")
NAMES = [
    "\udcff\udcfe.tif", "a\nb.tif", "\x1b[2J.tif", "<script>.tif", "-rf.tif", "..tif", " .tif",
    "x" * 250 + ".tif", "\u6838.tif", "\u819c.tif", "A.TIF", "e\u0301.tif", "\u00e9.tif",
    "labels/\udcfe.tif", "CON.tif", "a.ome.tif", "a.tiff", "a.mha", "a.h5", "a.zarr", "a.czi",
    "01", "labels", "images", "x" * 255, "conditions.csv", "inputs.json", "record.json",
    "\u202etif.a", "a b.tif", "d/e", "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s", "%s.tif",
    "{0}.tif", "a;b.tif", "$(id).tif",
]  # fmt: skip
KINDS = ("fifo", "socket", "folder", "link:/etc/hostname", "link:.", "link:..", "link:nowhere")
PNG = b"\x89PNG\r\n\x1a\n"
HDF5 = b"\x89HDF\r\n\x1a\n"
CHUNKS = [b"IHDR", b"IDAT", b"IEND", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"tRNS"]
TAGS = [*range(254, 350), 33550, 33628, 34118, 50838, 50839, 50844, 65000]


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


def mutated(rng, tree, others, names=False):
    """Return a copy of a tree with one to four alterations of one file, or of its names."""
    tree = dict(tree)
    for _ in range(int(rng.integers(1, 3))):
        if names and rng.random() < 0.4:
            renamed(rng, tree)
    files = [name for name, content in tree.items() if isinstance(content, bytes)]
    if not files or (names and rng.random() < 0.3):
        return tree
    name = pick(rng, files)
    content = tree[name]
    donor = pick(rng, [c for other in others for c in other.values() if isinstance(c, bytes)])
    for _ in range(int(rng.choice((1, 1, 1, 2, 4)))):
        content = pick(rng, mutators(name, content))(rng, content, donor)
    return {**tree, name: content}


def mutators(name, content):
    """Return the alterations that suit a file, those of its format more often."""
    plain = [flipped, numbered, cut, moved, spliced]
    if content[:2] in (b"II", b"MM"):
        return [*plain, tagged, tagged, tagged, described, described]
    if content[:8] == HDF5:
        return [*plain, attributed, attributed, attributed]
    if content[:8] == PNG:
        return [*plain, chunked, chunked, chunked, chunked]
    if b"ElementDataFile" in content[:4096]:
        return [*plain, headed, headed, headed, headed]
    text = name.endswith(
        (".json", ".toml", ".hjson", ".csv", ".txt", ".zattrs", ".zarray", ".zgroup")
    )
    return [*plain, worded, worded, worded, worded, lined] if text else [*plain, flipped, numbered]


def flipped(rng, data, donor):
    """Set bits or bytes at random places, near the start more often."""
    out = bytearray(data)
    for _ in range(int(rng.choice((1, 1, 2, 8, 32)))):
        if out:
            reach = len(out) if rng.random() < 0.5 else min(len(out), 512)
            place = int(rng.integers(reach))
            out[place] = (
                out[place] ^ (1 << int(rng.integers(8)))
                if rng.random() < 0.5
                else int(rng.choice((0, 1, 127, 128, 255)))
            )
    return bytes(out)


def numbered(rng, data, donor):
    """Write a telling integer of any width and order at a random place."""
    width = int(rng.choice((1, 2, 4, 8)))
    value = pick(rng, NUMBERS) % 2 ** (8 * width)
    place = int(rng.integers(max(1, len(data) if rng.random() < 0.5 else min(len(data), 512))))
    order = "little" if rng.random() < 0.7 else "big"
    return data[:place] + value.to_bytes(width, order) + data[place + width :]


def cut(rng, data, donor):
    return data[: int(rng.integers(len(data) + 1))]


def moved(rng, data, donor):
    """Remove, repeat or insert a block."""
    start, stop = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
    if rng.random() < 0.5:
        stop = min(stop, start + 16)
    block = data[start:stop]
    return pick(rng, [
        data[:start] + data[stop:],
        data[:stop] + block + data[stop:],
        data[:start] + rng.bytes(int(rng.integers(1, 17))) + data[start:],
    ])  # fmt: skip


def spliced(rng, data, donor):
    """Return the start of one file and the end of another."""
    here = int(rng.integers(len(data) + 1))
    there = int(rng.integers(len(donor) + 1))
    return data[:here] + donor[there if rng.random() < 0.5 else here :]


def worded(rng, data, donor):
    """Replace, remove or repeat a word or number, or put one in front of it."""
    matches = list(TOKEN.finditer(data[:200_000]))
    if not matches:
        return data + pick(rng, WORDS)
    match = pick(rng, matches)
    new = pick(rng, [pick(rng, WORDS), pick(rng, WORDS), b"", match[0] * 2, pick(rng, matches)[0]])
    start = match.end() if rng.random() < 0.15 else match.start()
    return data[:start] + new + data[match.end() :]


def lined(rng, data, donor):
    """Remove, repeat or exchange lines."""
    lines = data.split(b"\n")
    one, two = (int(n) for n in rng.integers(0, len(lines), 2))
    action = rng.integers(3)
    if action == 0:
        lines[one], lines[two] = lines[two], lines[one]
    elif action == 1:
        lines.insert(two, lines[one])
    else:
        del lines[one]
    return b"\n".join(lines)


def headed(rng, data, donor):
    """Alter the lines of a MetaImage header."""
    end = data.find(b"\n", max(0, data.find(b"ElementDataFile"))) + 1
    head = data[: end or len(data)]
    pixels = data[end or len(data) :]
    return pick(rng, [worded, worded, worded, lined])(rng, head, donor) + pixels


def chunked(rng, data, donor):
    """Alter, remove, repeat or exchange chunks of a PNG; their checksums are right."""
    chunks = []
    place = 8
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + size]])
        place += size + 12
    one, two = (int(n) for n in rng.integers(0, len(chunks), 2)) if chunks else (0, 0)
    action = rng.integers(6) if chunks else 9
    if action == 0:
        chunks[one], chunks[two] = chunks[two], chunks[one]
    elif action == 1:
        chunks.insert(two, [pick(rng, CHUNKS), chunks[one][1]])
    elif action == 2:
        del chunks[one]
    elif action < 9:
        chunks[one][1] = pick(rng, [flipped, numbered, cut, moved])(rng, chunks[one][1], donor)
    return png(chunks)


def png(chunks):
    """Return a PNG of chunks, each a type and a body."""
    parts = [(len(body), kind + body) for kind, body in chunks]
    packed = (struct.pack(">I", n) + c + struct.pack(">I", zlib.crc32(c)) for n, c in parts)
    return PNG + b"".join(packed)


def tags_of(data):
    """Return format, tags and links of a TIFF file: where it names the places of its directories."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        form = file.tiff
        pages = [*file.pages]
    ends = [
        page.offset + form.tagnosize + len(page.tags) * form.tagsize
        for page in pages  # the link to the next one follows the tags
    ]
    return form, [tag for page in pages for tag in page.tags], [form.offsetsize, *ends]


def tagged(rng, data, donor):
    """Alter number, type, count or value of a tag, or the place of the next directory."""
    try:
        form, tags, links = tags_of(data)
    except Exception:  # altered before: it is no more a TIFF file
        return flipped(rng, data, donor)
    place = int(rng.integers(len(tags) + len(links)))
    if place >= len(tags):
        targets = [0, pick(rng, links), len(data), *map(abs, NUMBERS)]
        return _put(data, links[place - len(tags)], form.offsetformat, pick(rng, targets))
    tag, number, short = tags[place], pick(rng, NUMBERS), f"{form.byteorder}H"
    action = rng.integers(6)
    if action == 0:
        return _put(data, tag.offset, short, pick(rng, TAGS))
    if action == 1:
        return _put(data, tag.offset + 2, short, int(rng.integers(0, 20)))
    if action == 2:
        return _put(data, tag.offset + 4, form.offsetformat, number)
    if rng.random() < 0.2:  # the value, or where it lies
        return _put(data, tag.offset + 4 + form.offsetsize, form.offsetformat, number)
    wide = struct.calcsize(tifffile.TIFF.DATA_FORMATS[tag.dtype][-1])
    value = tag.valueoffset + wide * int(rng.integers(min(max(tag.count, 1), 64)))
    return _put(data, value, form.byteorder + {1: "B", 2: "H", 4: "I", 8: "Q"}[wide], number)


def described(rng, data, donor):
    """Alter the text of a description, at the end of the file where it has grown."""
    try:
        form, tags, _ = tags_of(data)
        tag = pick(rng, [tag for tag in tags if tag.code in (270, 50839)])
    except Exception:  # it has none
        return tagged(rng, data, donor)
    text = data[tag.valueoffset : tag.valueoffset + tag.count].rstrip(b"\0")
    text = worded(rng, text, donor) + b"\0"
    data = data + b"\0" * (len(data) % 2)
    for place, value in ((4, len(text)), (4 + form.offsetsize, len(data))):
        data = _put(data, tag.offset + place, form.offsetformat, value)
    return data + text


def _put(data, place, form, value):
    """Return data with a number at a place, if it is inside."""
    packed = struct.pack(form, value % 2 ** (8 * struct.calcsize(form)))
    if place + len(packed) > len(data):
        return data
    return data[:place] + packed + data[place + len(packed) :]


def attributed(rng, data, donor):
    """Alter an attribute, a type, a shape or a link of an HDF5 file."""
    stream = io.BytesIO(data)
    values = [
        float("nan"), float("inf"), -1.0, 0, 2**63, "text", b"\xff", [], [1.0], [1.0] * 4,
        [float("nan")] * 3, ["a", "b", "c"], np.void(b"abc"), h5py.Empty("f"), True, 1e-320,
        [[1.0, 2.0], [3.0, 4.0]], "\x1b[31m", "TYX", "XY", "", "y" * 60000, np.uint8(3), 1j,
        h5py.h5r.Reference(),
    ]  # fmt: skip
    try:
        with h5py.File(stream, "r+") as file:
            name = pick(
                rng, [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
            )
            action = rng.integers(5)
            if action < 3:
                key = pick(rng, ["spacing", "axes", "element_size_um", "channel", "n", "k\n\x1b"])
                file[name].attrs[key] = pick(rng, values)
                return stream.getvalue()
            del file[name]
            if action == 3:
                file[name] = pick(rng, [
                    h5py.Empty("f"), 3, "text", np.zeros(3), np.zeros((2, 2), complex), b"x",
                    np.zeros((2, 2), [("a", "u1"), ("b", "f4")]), np.zeros((1,) * 6),
                    np.array([["a", "b"]], object), h5py.SoftLink("/nowhere"),
                    h5py.SoftLink(f"/{name}"), h5py.ExternalLink("../neighbour/other.h5", "/image"),
                    np.zeros((0, 3), "u1"), np.array([[True, False]]), np.full((2, 2), 1e308),
                ])  # fmt: skip
            else:
                layout = h5py.VirtualLayout((2**16, 2**16, 2**16), "u1")
                layout[:3, :6, :8] = h5py.VirtualSource("../neighbour/other.h5", "image", (3, 6, 8))
                file.create_virtual_dataset(name, layout)
    except Exception:  # altered before: it is no more a file of HDF5
        return flipped(rng, data, donor)
    return stream.getvalue()


def renamed(rng, tree):
    """Rename an entry, or add one of another kind, in place."""
    name = pick(rng, sorted(tree))
    new = (PurePosixPath(name).parent / pick(rng, NAMES)).as_posix()
    above = {str(parent) for parent in PurePosixPath(new).parents}
    if new in tree or above & set(tree) or any(other.startswith(f"{new}/") for other in tree):
        return
    if rng.random() < 0.5:
        tree[new] = tree.pop(name)
    elif rng.random() < 0.5:
        tree[new] = tree[name] if isinstance(tree[name], bytes) else b""
    else:
        tree[new] = pick(rng, KINDS)
