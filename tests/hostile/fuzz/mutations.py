"""Alterations of an input: of its bytes, its words, its tags, its attributes and its names."""

import io
import re
import struct
import zlib
from pathlib import PurePosixPath

import h5py
import numpy as np

FEW = (0, 1, 2, 3, 7, 8, 16, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS = (*FEW, 2**63 - 1, 2**63, 2**64 - 1, -1)
WORDS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"-inf", b"1e999", b"-1e999", b"1e-320"),
    *(b"0", b"-0.0", b"-1", b"1", b"2", b"1e300", b"1e-300", b"0x10", b"1_0", b"1/0", b"0/0"),
    *(str(n).encode() for n in (2**31, 2**63, 2**64, 10**30)),
    *(b"9" * 400, b"0." + b"3" * 400, "\uff11\u0663".encode(), b"true", b"null", b"None", b"[]"),
    *(b"{}", b'""', b'"x"', b'"\\ud800"', b'"\\u0000"', b"\\ud800", b"\xff\xfe\xfa", b"\x00"),
    *(b"\x1b[31m", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"<script>alert(1)</script>"),
    *(b"[" * 200, b"[" * 20000, b'{"a":' * 3000, b"'" * 3, b'"', b"\\", b"%s%n{0}", b"&amp;&lt;"),
    *(b"../neighbour/pixels.raw", b"../neighbour/other.tif", b"/dev/zero", b"a.tif", b"a.mha"),
    *(b"LOCAL", b"LIST", b"%03d", b"True", b"False", b"TYX", b"CYX", b"ZYX", b"YX", b"QQ", b"XYZ"),
    *(b"MET_UCHAR", b"MET_DOUBLE", b"MET_FLOAT_ARRAY", b"um", b"nm", b"cm", b"inch", b"\\u00B5m"),
    *(b"x" * 5000, b",", b"\n", b"\r\n", b"=", b":", b" ", b"<", b"</OME>", b"]]>", b"<!--"),
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>',
]
TOKEN = re.compile(rb"[A-Za-z_][\w.-]*|-?\d[\d.eE+-]*|\"[^\"\n]*\"|[^\sA-Za-z\d]")
NAMES = [
    *("\udcff\udcfe.tif", "a\nb.tif", "\x1b[2J.tif", "<script>.tif", "-rf.tif", "..tif", " .tif"),
    *("x" * 250 + ".tif", "\u6838.tif", "\u819c.tif", "A.TIF", "e\u0301.tif", "\u00e9.tif"),
    *("labels/\udcfe.tif", "CON.tif", "a.ome.tif", "a.tiff", "a.mha", "a.h5", "a.zarr", "a.czi"),
    *("01", "labels", "images", "x" * 255, "conditions.csv", "inputs.json", "record.json"),
    *("\u202etif.a", "a b.tif", "d/e", "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s", "%s.tif"),
    *("{0}.tif", "a;b.tif", "$(id).tif"),
]
KINDS = ("fifo", "socket", "folder", "link:/etc/hostname", "link:.", "link:..", "link:nowhere")
PNG, HDF5 = b"\x89PNG\r\n\x1a\n", b"\x89HDF\r\n\x1a\n"
CHUNKS = [b"IHDR", b"IDAT", b"IEND", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"tRNS"]
TAGS = [*range(254, 350), 33550, 33628, 34118, 50838, 50839, 50844, 65000]
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 18: 8}


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
    here, there = int(rng.integers(len(data) + 1)), int(rng.integers(len(donor) + 1))
    return data[:here] + donor[there if rng.random() < 0.5 else here :]


def worded(rng, data, donor):
    """Replace, remove or repeat a word or number, or put one in front of it."""
    found = list(TOKEN.finditer(data[:200_000]))
    if not found:
        return data + pick(rng, WORDS)
    match = pick(rng, found)
    new = pick(rng, [pick(rng, WORDS), pick(rng, WORDS), b"", match[0] * 2, pick(rng, found)[0]])
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
    head, pixels = data[: end or len(data)], data[end or len(data) :]
    return pick(rng, [worded, worded, worded, lined])(rng, head, donor) + pixels


def chunked(rng, data, donor):
    """Alter, remove, repeat or exchange chunks of a PNG; their checksums are right."""
    chunks, place = [], 8
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


def entries(data):
    """Yield place, order, width of numbers and type of each tag of a TIFF; and of its links."""
    order = "<" if data[:2] == b"II" else ">"
    big = len(data) > 8 and struct.unpack(order + "H", data[2:4])[0] == 43
    width, step, head = ("Q", 20, 8) if big else ("I", 12, 2)
    link, seen = (8 if big else 4), set()
    size = struct.calcsize(width)
    while link + size <= len(data) and link not in seen:
        yield "link", link, order, width
        seen.add(link)
        place = struct.unpack(order + width, data[link : link + size])[0]
        if not place or place + head > len(data):
            return
        count = struct.unpack(order + ("Q" if big else "H"), data[place : place + head])[0]
        start = place + head
        for tag in range(min(count, 60)):
            if start + (tag + 1) * step <= len(data):
                yield "tag", start + tag * step, order, width
        link = start + count * step


def tagged(rng, data, donor):
    """Alter number, type, count or value of a tag, or the place of the next directory."""
    found = list(entries(data))
    kind, place, order, width = pick(rng, found) if found else ("", 0, "<", "I")
    size = struct.calcsize(width)
    if kind == "link":
        links = [p for k, p, *_ in found if k == "link"]
        target = pick(rng, [0, place, pick(rng, links), len(data), *map(abs, NUMBERS)])
        return _put(data, place, order + width, target)
    if kind != "tag":
        return flipped(rng, data, donor)
    number = pick(rng, NUMBERS)
    action = rng.integers(6)
    if action == 0:
        return _put(data, place, order + "H", pick(rng, TAGS))
    if action == 1:
        return _put(data, place + 2, order + "H", int(rng.integers(0, 20)))
    if action == 2:
        return _put(data, place + 4, order + width, number)
    kind_of = struct.unpack(order + "H", data[place + 2 : place + 4])[0]
    count = struct.unpack(order + width, data[place + 4 : place + 4 + size])[0]
    wide = SIZES.get(kind_of, 1)
    value = place + 4 + size
    if wide * count > size and rng.random() < 0.7:  # the value lies elsewhere
        value = struct.unpack(order + width, data[value : value + size])[0]
        value += wide * int(rng.integers(min(count, 64)))
    letter = {1: "B", 2: "H", 4: "I"}.get(wide, "Q")
    letter = "I" if kind_of in (5, 10) else letter
    return _put(data, value, order + letter, number)


def described(rng, data, donor):
    """Alter the text of a description, at the end of the file where it has grown."""
    texts = []
    for kind, place, order, width in entries(data):
        size = struct.calcsize(width)
        if kind == "tag" and data[place : place + 2] in (b"\x0e\x01", b"\x01\x0e", b"\x37\xc6"):
            count, value = struct.unpack(order + 2 * width, data[place + 4 : place + 4 + 2 * size])
            texts.append((place, order, width, count, value))
    if not texts:
        return tagged(rng, data, donor)
    place, order, width, count, value = pick(rng, texts)
    text = worded(rng, data[value : value + count].rstrip(b"\0"), donor) + b"\0"
    data = data + b"\0" * (len(data) % 2)
    size = struct.calcsize(width)
    data = _put(data, place + 4, order + width, len(text))
    return _put(data, place + 4 + size, order + width, len(data)) + text


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
        *(float("nan"), float("inf"), -1.0, 0, 2**63, "text", b"\xff", [], [1.0], [1.0] * 4),
        *([float("nan")] * 3, ["a", "b", "c"], np.void(b"abc"), h5py.Empty("f"), True, 1e-320),
        *([[1.0, 2.0], [3.0, 4.0]], "\x1b[31m", "TYX", "XY", "", "y" * 60000, np.uint8(3), 1j),
        h5py.h5r.Reference(),
    ]
    try:
        with h5py.File(stream, "r+") as file:
            names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
            name = pick(rng, names)
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
                source = h5py.VirtualSource("../neighbour/other.h5", "image", (3, 6, 8))
                layout[:3, :6, :8] = source
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
