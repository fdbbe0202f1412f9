"""Files of ours in ours, TIFFs in other programs, and theirs in ours: the voxel size arrives."""

import json
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from macros import needs_imagej, printed
from mistakes import refused
from rasters import counted, same

from cytosuite.datasets import simulate
from cytosuite.formats import channels, header, read, write
from cytosuite.formats.tiffmetadata import ome_xml
from cytosuite.volume import Header, Volume

SPACING = (1.5, 0.25, 0.2)
DTYPES = ["uint8", "uint16", "int16", "uint32", "int32", "float32"]
MACRO = """
files = split(getArgument(), " ");
for (i = 0; i < files.length; i++) {
    open(files[i]);
    getVoxelSize(x, y, z, unit);
    print(nSlices + " " + bitDepth() + " " + z + " " + y + " " + x + " " + unit);
    if (startsWith(getTitle(), "set")) setVoxelSize(0.5, 0.5, 3, "um");
    saveAs("Tiff", files[i] + ".saved.tif");
    close();
}
"""
ARRAY = counted(2, 3, 4, 5, 6)  # TZCYX


IMAGEJ = {"data": ARRAY, "imagej": True, "metadata": {"axes": "TZCYX"}}
PACKED = {**IMAGEJ, "compression": "zlib"}
FACTS = {
    "camera": "EMCCD", "gain": 2.5, "offset": 100.0, "read_noise": 1.5, "psf_sigma_z_um": 1.2,
    "psf_sigma_xy_um": 0.3, "na": 0.8, "magnification": 20, "index_immersion": 1.33,
    "emission_um": 0.52, "excitation_um": 0.488,
}  # fmt: skip
IMAGES = [("YX", np.uint8), ("ZYX", np.uint16), ("CZYX", np.uint16), ("TZYX", np.float64)]


def _volume(dtype="uint16", spacing=SPACING, shape=(4, 5, 6), **metadata):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    facts = {"channel": "nucleus µ", "study": 2, "gain": 0.1} | metadata
    return Volume(values, spacing[-len(shape) :], "TCZYX"[-len(shape) :], facts)


SHAPES = [
    (4, 5, 6),
    (5, 6),
    (1, 5, 6),
    (5, 7, 1),
    (5, 4, 3),
    (2, 3, 5, 6),
    (3, 3, 5, 6),
    (2, 3, 4, 5, 6),
]


ALL = [*DTYPES, "int8", "float64", "uint64", "int64", "float16", "bool"]
KINDS = [*product([".tif"], ALL, SHAPES)]  # of which TIFF has several layouts
KINDS += product([".mha", ".h5", ".ome.zarr", ".ozx"], ALL, SHAPES[:1])
KINDS += product([".mha", ".h5", ".ome.zarr", ".ozx"], ALL[:1], SHAPES[1:])


@pytest.mark.parametrize("words", [{}, FACTS], ids=["plain", "of a microscope"])
def test_bytes_are_those_of_any_version_of_the_library(tmp_path, words):
    write(tmp_path / "a.tif", _volume("int16", **words))
    assert tifffile.__version__.encode() not in (tmp_path / "a.tif").read_bytes()


@pytest.mark.parametrize("suffix, dtype, shape", KINDS)
def test_all_is_read_back(tmp_path, suffix, dtype, shape):
    volume = _volume(dtype, shape=shape)
    path = tmp_path / f"a{suffix}"
    if suffix == ".mha" and (len(shape) > 3 or dtype in ("float16", "bool")):
        refused("MetaImage (holds the axes|cannot hold dtype)", write, path, volume)
        return
    write(path, volume)
    stored = read(path)
    same(stored.array, volume.array)
    assert (stored.array.dtype, stored.axes) == (volume.array.dtype, volume.axes)
    assert stored.spacing == volume.spacing
    assert dict(stored.metadata) == dict(volume.metadata)
    assert stored.origin.warnings == ()
    for pick in ({"T": -1}, {"C": 3}, {"Z": 0}) if len(shape) == 5 else ():
        refused("expected", read, path, pick)
    if suffix != ".h5":
        assert header(str(path)) == Header(shape, stored.array.dtype, stored.spacing, stored.axes)


def test_channels_are_those_of_a_hyperstack(tif):
    write(tif, _volume(shape=(2, 3, 5, 6), channels="cytoplasm, nuclei"))
    assert channels(str(tif)) == ["cytoplasm", "nuclei"]
    with tifffile.TiffFile(tif) as file:
        metadata = file.imagej_metadata
    assert (metadata["channels"], metadata["slices"], metadata["mode"]) == (2, 3, "composite")


def test_containers_of_others_find_their_keys_in_the_text(tif):
    write(tif, _volume(channel="nucleus"))
    with tifffile.TiffFile(tif) as file:
        metadata = file.imagej_metadata
    assert (metadata["channel"], metadata["study"], metadata["unit"]) == ("nucleus", 2, "cm")
    sizes = [metadata["spacing"], metadata["physicalsizey"], metadata["physicalsizex"]]
    assert sizes == pytest.approx([size / 1e4 for size in SPACING])
    assert metadata["physicalsizez"] == metadata["spacing"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_simpleitk_reads_pixels_and_the_plane_in_millimetres(tif, dtype):
    write(tif, _volume(dtype))
    image = sitk.ReadImage(str(tif))
    same(sitk.GetArrayFromImage(image), _volume(dtype).array)
    assert image.GetSpacing()[:2] == pytest.approx((0.0002, 0.00025))
    assert image.GetSpacing()[2] == 1.0  # ITK knows no step in TIFFs, not in its own either


@pytest.mark.slow
@needs_imagej
def test_imagej_reads_all_three_and_what_it_saves_is_read(tmp_path):
    volumes = {
        "a": _volume("uint16"),
        "b": _volume("float32"),
        "c": _volume("uint8", (1.0, 0.25, 0.2)),
        "set": _volume("uint16", spacing_source="assumed"),
    }
    for name, volume in volumes.items():
        write(tmp_path / f"{name}.tif", volume)
    lines = printed(tmp_path, MACRO, " ".join(str(tmp_path / f"{name}.tif") for name in volumes))
    assert lines[:3] == ["4 16 1.5 0.25 0.2 µm", "4 32 1.5 0.25 0.2 µm", "4 8 1 0.25 0.2 µm"]
    for name in ("a", "b", "c"):
        stored = read(tmp_path / f"{name}.tif.saved.tif")
        assert stored.spacing == volumes[name].spacing
        assert dict(stored.metadata) == dict(volumes[name].metadata)
        same(stored.array, volumes[name].array)
    stored = read(tmp_path / "set.tif.saved.tif")
    assert stored.spacing == pytest.approx((3.0, 0.5, 0.5))
    assert not stored.spacing_is_assumed
    assert stored.metadata["study"] == 2


KNOWN = "z 1.5, y 0.25, x 0.2, known"
GREY = {"photometric": "minisblack"}
PLANE = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}
IMAGEJ_UM = {"imagej": True, "resolution": (5, 4)}
STEP = {"axes": "ZYX", "spacing": 1.5, "unit": "micron"}
OME = {"PhysicalSizeX": 200, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
OME |= {"PhysicalSizeZ": 0.0015, "PhysicalSizeZUnit": "mm", "axes": "ZYX"}


@pytest.mark.parametrize(
    "expected, options",
    [
        (KNOWN, {**IMAGEJ_UM, "metadata": STEP}),
        (
            "z 1, y 0.25, x 0.2, known",
            {**IMAGEJ_UM, "metadata": {"ImageJ": "1.53t", "axes": "ZYX", "unit": "micron"}},
        ),  # it leaves out a step of one
        (KNOWN, {"imagej": True, "metadata": {**STEP, "unit": "um"}, **PLANE}),  # the platform's
        (KNOWN, {"ome": True, "metadata": OME}),
        ("z 0.25, y 0.25, x 0.2, assumed", {**GREY, **PLANE}),
        ("z 1, y 1, x 1, assumed", {**GREY, "resolution": (1200, 1200)}),  # of a printer
        (KNOWN, {**GREY, "metadata": {"axes": "ZYX", "spacing": SPACING, "unit": "um"}}),
        (KNOWN, {**GREY, "metadata": {"axes": "ZYX", "spacing": [1500, 250, 200], "unit": "nm"}}),
        (KNOWN, {**GREY, "metadata": OME}),  # its keys in JSON
    ],
)
def test_the_voxel_size_of_each_program_is_read(tif, expected, options):
    tifffile.imwrite(tif, _volume().array, **options)
    volume = read(tif)
    z, y, x = volume.spacing
    source = "assumed" if volume.spacing_is_assumed else "known"
    assert f"z {z:.6g}, y {y:.6g}, x {x:.6g}, {source}" == expected
    assert not any("unit" in key.lower() for key in volume.metadata)


WRONG = [("axes", "ZZX"), ("axes", 3), ("shape", [5, 6]), ("shape", "456"), ("spacing", None)]
WRONG += [("shape", [4.0, 5.0, 6.0]), ("spacing", [1.5, -1, 0.2]), ("spacing", [1.5, 0.2])]
WRONG += [("shape", [2, 5, 6])]  # scaled by another program


@pytest.mark.parametrize("key, value", WRONG)
def test_info_that_only_looks_like_ours_does_not_count(tif, key, value):
    info = {"axes": "ZYX", "shape": [4, 5, 6], "spacing": list(SPACING), "study": 2, key: value}
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "micron", "Info": json.dumps(info)}
    tifffile.imwrite(tif, _volume().array, imagej=True, resolution=(5, 4), metadata=metadata)
    volume = read(tif)
    assert volume.spacing == pytest.approx((3.0, 0.25, 0.2))
    assert volume.origin.sources["spacing"] == "imagej"


@pytest.mark.parametrize(
    "options",
    [IMAGEJ, PACKED, {"data": ARRAY.swapaxes(1, 2), "ome": True, "metadata": {"axes": "TCZYX"}}],
)
@pytest.mark.parametrize("pick", [{"T": 1, "C": 2}, {"C": 3}, {"T": 0}])
def test_the_part_is_that_of_the_whole(tif, options, pick):
    tifffile.imwrite(tif, **options)
    volume = read(tif, pick)
    same(volume.array, ARRAY.swapaxes(1, 2)[pick.get("T", slice(None)), pick.get("C", slice(None))])
    assert volume.axes == "".join(axis for axis in "TCZYX" if axis not in pick)


def test_other_channels_are_not_decoded(tif, monkeypatch):
    tifffile.imwrite(tif, **PACKED)
    asked = []
    asarray = tifffile.TiffFile.asarray

    def spy(self, key=None, **options):
        asked.append(key)
        return asarray(self, key, **options)

    monkeypatch.setattr(tifffile.TiffFile, "asarray", spy)
    read(tif, {"T": 1, "C": 2})
    assert [len(key) for key in asked] == [3]


def test_of_several_images_the_first_is_read_and_said_so(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for number, step in enumerate((1.0, 2.0)):
            sizes = {"PhysicalSizeX": step, "PhysicalSizeY": step}
            file.write(np.full((5, 6), number, np.uint8), metadata={"axes": "YX", **sizes})
    first = read(tmp_path / "a.ome.tif")
    second = read(tmp_path / "a.ome.tif", scene=1)
    assert (first.array.max(), second.array.max()) == (0, 1)
    assert (first.spacing, second.spacing) == ((1.0, 1.0), (2.0, 2.0))
    assert first.origin.warnings == ("the file holds 2 images, and only the first is read",)
    assert second.origin.warnings == ()
    refused("expected a scene from 0 to 1, found 2", read, tmp_path / "a.ome.tif", scene=2)


def image(axes, dtype, **facts):
    shape = dict(zip("TCZYX", (2, 3, 4, 9, 8), strict=True))
    array = np.arange(np.prod([shape[a] for a in axes])).reshape([shape[a] for a in axes])
    spacing = dict(zip("ZYX", (1.0, 0.5, 0.25), strict=True))
    return Volume(array.astype(dtype), tuple(spacing[a] for a in axes if a in spacing), axes, facts)


@pytest.mark.parametrize("axes, dtype", IMAGES)
def test_an_independent_reader_finds_the_microscope(tif, axes, dtype):
    ome_types = pytest.importorskip("ome_types", reason="needs make peers")
    write(tif, image(axes, dtype, channel="nucleus", **FACTS))
    with tifffile.TiffFile(tif) as file:
        ome = ome_types.from_xml(file.ome_metadata)  # by the schema
    (entry,), (instrument,) = ome.images, ome.instruments
    (detector,), (objective,) = instrument.detectors, instrument.objectives
    assert (detector.type.value, detector.gain, detector.offset) == ("EMCCD", 2.5, 100)
    assert (objective.lens_na, objective.nominal_magnification) == (0.8, 20)
    assert entry.objective_settings.id == objective.id
    assert entry.objective_settings.refractive_index == 1.33
    for channel in entry.pixels.channels:
        assert (channel.emission_wavelength, channel.excitation_wavelength) == (520, 488)
        assert channel.detector_settings.id == detector.id
    (notes,) = ome.structured_annotations.map_annotations
    assert dict(notes.value) == {
        "read_noise": "1.5", "psf_sigma_z_um": "1.2", "psf_sigma_xy_um": "0.3",
    }  # fmt: skip
    assert (entry.pixels.physical_size_x, entry.pixels.physical_size_x_unit.value) == (0.25, "µm")


@pytest.mark.parametrize("axes, dtype", IMAGES)
def test_pixels_and_metadata_come_back_and_imagej_finds_its_text(tmp_path, tif, axes, dtype):
    bare = image(axes, dtype)
    volume = image(axes, dtype, **FACTS)
    for name, one in (("a", volume), ("b", bare)):
        write(tmp_path / f"{name}.tif", one)
    stored = read(tif)
    plain = read(tmp_path / "b.tif")
    assert (stored.metadata, stored.spacing, stored.axes) == (FACTS, volume.spacing, axes)
    assert stored.array.tobytes() == plain.array.tobytes() == bare.array.tobytes()
    with tifffile.TiffFile(tif) as one, tifffile.TiffFile(tmp_path / "b.tif") as two:
        texts = [dict(file.imagej_metadata or {}) for file in (one, two)]
        assert [file.is_ome for file in (one, two)] == [True, axes == "TZYX"]
    assert all(text.pop("Info", "{").startswith("{") for text in texts)
    assert texts[0] == texts[1]
    assert bool(texts[0]) == (axes != "TZYX")


@pytest.mark.parametrize("chosen", [FACTS, {"gain": 2.0}, {"na": 0.8}, {"read_noise": 1.0}])
def test_a_file_of_another_program_says_its_microscope(tif, chosen):
    volume = image("ZYX", np.uint16, **chosen)
    text = ome_xml(chosen, "uint16", volume.shape, "ZYX", lambda: "0")
    tifffile.imwrite(tif, volume.array, photometric=1, description=text, metadata=None)
    stored = read(tif)
    assert {key: stored.metadata[key] for key in chosen} == chosen
    assert {stored.origin.sources[key] for key in chosen} == {"ome"}


def test_a_simulated_image_says_what_it_was_seen_with_and_its_labels_do_not():
    settings = ["optics.na=0.8", "optics.emission_um=0.52", "camera.excess=1"]
    (sample,) = simulate("nuclei", 1, size="mini", settings=settings)
    image, labels = (
        sample.volume(slug).metadata for slug in ("microscopy-image", "instance-labels")
    )
    seen = {"na": 0.8, "emission_um": 0.52, "camera": "EMCCD", "gain": 4, "psf_sigma_xy_um": 0.3}
    assert {key: image.get(key) for key in (*seen, "magnification")} == {
        **seen,
        "magnification": None,
    }
    assert not FACTS.keys() & labels.keys()
