"""The microscope of an image in TIFF files: by an independent reader of OME-XML, and by ours."""

import numpy as np
import pytest
import tifffile

from cytosuite.datasets import simulate
from cytosuite.formats import read, write
from cytosuite.formats.tiffmetadata import ome_xml
from cytosuite.volume import Volume

FACTS = {
    "camera": "EMCCD", "gain": 2.5, "offset": 100.0, "read_noise": 1.5, "psf_sigma_z_um": 1.2,
    "psf_sigma_xy_um": 0.3, "na": 0.8, "magnification": 20, "index_immersion": 1.33,
    "emission_um": 0.52, "excitation_um": 0.488,
}  # fmt: skip
IMAGES = [("YX", np.uint8), ("ZYX", np.uint16), ("CZYX", np.uint16), ("TZYX", np.float64)]


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
