"""Altered lists of images (CSV, HDF5), parameters of published simulators, and settings in HJSON.

Each is given to a command in a child with limits of memory and time.
"""

import json
import os
import re
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from tests import forks, house
from tests.hostile.fuzz.mutations import lined, mutated, pick, worded
from tests.hostile.kills import SETTINGS, TRAINER, annotated
from tests.hostile.tally import campaign, in_order, left

LIMITS = {"RLIMIT_DATA": 6 * 2**30, "RLIMIT_FSIZE": 2**28}
SECONDS = 60.0
PROGRAM = "cytosuite.benchmark.commands.app:run"
LOADED = ["cytosuite.datasets.spheroid.migration", "cytosuite.datasets.spheroid.generate"]
LOADED += [f"cytosuite.benchmark.commands.{name}" for name in ("maintain", "simulate", "labels")]
RAW = (
    *("null", "true", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "-1e308", "-1"),
    *("0", "-0.0", "1e-320", "2147483648", "9223372036854775808", "1" + "0" * 400, "0.5", "1e9"),
    *('""', '"x"', '"\\u0000"', '"\\ud800"', '"../../../../etc/passwd"', '"/etc/passwd"', '"."'),
    *('"' + "x" * 100_000 + '"', '"\\u001b[2J"', "[]", "{}", "[[]]", "[null]", "[1, 2]", "[1e308]"),
    *("[0, 0, 0]", "[-1, 1, 1]", "[1e308, 1e308, 1e308]", "[1e-300, 1e-300, 1e-300]", '["x"]'),
    *('["/dev/zero"]', '["/proc/self/mem"]', '["loop"]', '["fifo"]', '["folder"]', '["\\u0000"]'),
    *('["../secret.tif", "nowhere"]', "[" * 60 + "]" * 60, "[" * 20_000, '{"a":' * 3000, "1, 1"),
    *("[" + "1," * 50_000 + "1]", '{"a": 1, "a": 2}', "1_0", "0x10", "'x'", "[1e9, 1e9, 1e9]"),
)
PARAMETERS = {
    "output_path": "results",
    "num_of_images": 2,
    "input_phantom_folder": "phantoms",
    "input_spheroid_mask": ["mask.tif"],
    "input_subculture_folder": "other",
    "num_of_subcultures": 1,
    "subculture_radius_xy": 20.0,
    "subculture_radius_z": 10.0,
    "subculture_min_dist": 2,
    "generated_image_shape": [20, 60, 60],
    "px_size_phantom_img": [1.0, 0.25, 0.25],
    "px_size_sim_img": [1.0, 0.25, 0.25],
    "px_size_desired": [2.0, 0.5, 0.5],
    "px_size_mask_img": [4.0, 1.0, 1.0],
    "volume_ratio_phantom": 0.4,
    "max_overlap": 0.1,
    "min_dist": 3,
    "break_criterion": 100,
    "brightness_red_fuction": "f2p",
    "brightness_red_factor_b": 80.0,
    "paths_psf": ["psf.tif"],
    "exposure_percentage": 0.7,
    "dc_baseline": 8.0,
    "noise_gauss": 1.5,
    "noise_gauss_absolute": 0.5,
    "noise_poisson_factor": 0.3,
    "num_of_acquisition_iterations": 2,
}
PUBLISHED = {
    "experiment": "mine",
    "dataset_folder": "data",
    "mode": "train",
    "direction": "BtoA",
    "save_model_every_x_epochs": 5,
    "resume_training": 0,
    "norm": "instance",
    "ngf": 4,
    "batch_size": 1,
    "pool_size": 5,
    "learning_rate": 2e-4,
    "learning_rate_fix": 2,
    "learning_rate_decay": 2,
    "train_d_every_x": 2,
    "lambda_identity": 0.5,
    "lambda_cycle_A": 10,
    "lambda_cycle_B": 10.0,
    "img_dim": 2,
    "A_nc": 1,
    "B_nc": 1,
    "crop_size": [64, 64],
    "preprocess": "crop",
    "virtual_dataset_multiplicator": 1.0,
}
READ = """
import sys
from pathlib import Path
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe

def load():
    from cytosuite.algorithms.u2net.training.train import TRAINING, Settings
    from cytosuite.training.command import check

    settings, folder = Settings(patches={"shape": (1, 32, 32)}), Path(sys.argv[1])
    check(TRAINING, settings, {"images": [folder]})
    assert TRAINING.load(folder, "images", settings)

def read():
    prepare(recipe(DataRequest(sys.argv[1])), Path(sys.argv[2]), processes(1), lambda *_: None)
"""
CODES = ("utf-16", "utf-8-sig", "latin-1", "utf-32", "cp037")


def near(rng, text):
    """Return a value of JSON whose numbers are multiplied, or that is none."""
    factor = float(pick(rng, (0, 1e-9, 1e-3, 0.3, 0.5, 2, 3, 7, 1e3, 1e6)))

    def scaled(found):
        """Return a number of the same kind."""
        number = float(found[0]) * factor
        return repr(number) if "." in found[0] else str(round(number))

    return "null" if rng.random() < 0.1 else re.sub(r"-?\d+(\.\d+)?", scaled, text)


def document(rng, keys):
    """Return the bytes of an object with one to three values replaced, or altered as bytes."""
    texts = {json.dumps(key): json.dumps(value) for key, value in keys.items()}
    for _ in range(int(pick(rng, (1, 1, 1, 2, 3)))):
        key = pick(rng, list(texts))
        texts[key] = pick(rng, RAW) if rng.random() < 0.6 else near(rng, texts[key])
    content = ("{" + ",\n".join(f"{key}: {value}" for key, value in texts.items()) + "}").encode()
    match rng.integers(10):
        case 0:
            content = worded(rng, json.dumps(keys).encode(), b"")
        case 1:
            content = lined(rng, content, b"")
        case 2:
            text = json.dumps(keys | {"title": "\u00e9"}, ensure_ascii=False)
            content = text.encode(pick(rng, CODES))
        case 3 if rng.random() < 0.3:
            content = pick(
                rng, [b"", b"\0" * 9, b"[]", b"3", b"\xff\xfe", b"{" * 5000, b" " * 70000]
            )
    return content


def furnish(folder):
    """Make the files that the documents name: a link in a circle, a pipe, a secret outside."""
    folder.mkdir()
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    return folder


class Attempts:
    """Commands in a house, each judged by its end."""

    def __init__(self, folder, algorithms=()):
        self.folder = folder
        home = house.build(folder / "house", algorithms=["toy_threshold"], datasets=["toy_cells"])
        for name in algorithms:
            from shutil import copytree

            copytree(house.ROOT / "algorithms" / name, home / "algorithms" / name)
        (home / "attempts.py").write_text(READ)
        self.runs, self.home = forks.Runs(home), home
        self.data = annotated(folder / "planes")

    def end(self, tally, kind, about, words, program, where=None):
        """Run a command, and count how it ends."""
        name = words[0] if program == TRAINER else "u2net"
        load = LOADED if program == PROGRAM else [f"cytosuite.algorithms.{name}.training.train"]
        process = self.runs.command(*words, program=program, load=load, limits=LIMITS)
        forks.wait(process, SECONDS)
        with tally.attempt(kind):
            alive = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
            if alive:
                os.kill(process, signal.SIGKILL)
            code, text = self.runs.end(process)
            assert not alive, f"hangs: {about}"
            try:
                in_order(code, text)
                if where is not None:
                    assert (over := left(where)) == [], over
            except AssertionError as error:
                raise AssertionError(f"{about}: {error}") from None
            tally.refused[kind] += code != 0
            return code
        return -1


def migrate(tally, options):
    """Translate altered parameters, and read the recipe that they become."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="inputs-") as place:
        attempts = Attempts(Path(place))
        taken = attempts.folder / "taken"
        taken.touch()
        for number in range(options.tries):
            folder = furnish(attempts.folder / f"try{number}")
            path, recipe = folder / "params.json", folder / "new.toml"
            path.write_bytes(content := document(rng, PARAMETERS))
            words = ["maintain", "migrate", path, "--out", recipe]
            if not attempts.end(tally, "params.json", content[:600], words, PROGRAM, folder):
                about = f"{content[:1200]!r} became {recipe.read_text()[:1500]}"
                words = ["simulate", recipe, "--out", taken, "--cases", "1"]  # read, then refused
                attempts.end(tally, "a recipe of params.json", about, words, PROGRAM)


def hjson(tally, options):
    """Check a training by altered settings of the published CycleGAN."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="inputs-") as place:
        attempts = Attempts(Path(place), ["cyclegan3d"])
        data = [f"--data={role}={attempts.data / 'images'}" for role in ("simulated", "real")]
        for number in range(options.tries):
            folder = furnish(attempts.folder / f"try{number}")
            path = folder / "settings.hjson"
            path.write_bytes(content := document(rng, PUBLISHED))
            words = ["cyclegan3d", *data, "--settings", path, "--name", "m", "--check"]
            words += ["--out", folder / "out", "--work", folder / "work"]
            attempts.end(tally, "settings.hjson", content[:600], words, TRAINER, folder)


def toml(tally, options):
    """Check a training by altered settings in TOML."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="inputs-") as place:
        attempts = Attempts(Path(place), ["u2net"])
        for number in range(options.tries):
            folder = furnish(attempts.folder / f"try{number}")
            path = folder / "settings.toml"
            content = SETTINGS.encode()
            for _ in range(int(rng.integers(1, 3))):
                content = pick(rng, [worded, worded, lined])(rng, content, b"")
            path.write_bytes(content)
            words = ["u2net", "--data", attempts.data, "--settings", path, "--name", "m", "--check"]
            words += ["--out", folder / "out", "--work", folder / "work"]
            attempts.end(tally, "settings.toml", content[:600], words, TRAINER, folder)


NAMES = (
    *("images/a.h5", "masks/a.h5", "images/b.h5", "masks/b.h5", "IMAGES/A.H5", "images\\a.h5"),
    *("../outside.h5", "images/../../outside.h5", "/etc/passwd", "/dev/zero.h5", "images/link.h5"),
    *("images/loop.h5", "images/fifo.h5", "images/folder.h5", "images/none.h5", "images/none.tif"),
    *(
        "images/\0.h5",
        "x" * 300 + ".h5",
        "x/" * 3000 + "a.h5",
        "\u202ea.h5",
        "images/a.h5 ",
        "",
        " ",
    ),
    *("C:\\images\\a.h5", "file:///etc/passwd", "~/a.h5", "-.h5", '"', "images/a.h5;masks/a.h5"),
    *("\x1b[2J.h5", "=cmd()", "images/huge.h5", "images/empty.h5", "images/text.h5", "a" * 200_000),
)


def listed(rng):
    """Return the bytes of a list with altered rows."""
    rows = [["images/a.h5", "masks/a.h5"], ["images/b.h5", "masks/b.h5"]]
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))]
        match rng.integers(5):
            case 0 | 1:
                row[int(rng.integers(len(row)))] = pick(rng, NAMES)
            case 2:
                row.append(pick(rng, NAMES))
            case 3:
                rows.append([pick(rng, NAMES) for _ in range(int(rng.integers(1, 4)))])
            case _:
                row[-1:] = []
                row.append(pick(rng, NAMES))
    sign = pick(rng, [";", ";", ";", ",", "\t", "|"])
    content = pick(rng, ["\n", "\n", "\r\n", "\r"]).join(sign.join(row) for row in rows)
    data = content.encode(pick(rng, ("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "replace")
    match rng.integers(6):
        case 0:
            data = worded(rng, data, b"")
        case 1 if rng.random() < 0.3:
            data = pick(rng, [b"", b"\0" * 99, b";" * 10**6, b"\n" * 10**6, b'"' * 9, b"\xff\xfe"])
    return data


def hdf5(path, number):
    """Write an image or a mask as the published programs do."""
    labels = np.zeros((32, 32), np.uint16)
    labels[4:12, 4:12], labels[18:28, 16:30] = 1, 2
    light = (labels > 0) * 100 + np.random.default_rng(number).normal(50, 5, labels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    name, array = ("image", light) if path.parent.name == "images" else ("instance", labels)
    with h5py.File(path, "w") as file:
        made = file.create_dataset(f"data/{name}", data=array.astype(np.float32 if name == "image" else np.uint16), chunks=True, compression="gzip")  # fmt: skip
        made.attrs["spacing"], made.attrs["note"] = (1.0, 1.0), "text"


def odd(path):
    """Write files that are listed but are no images, or claim too much."""
    furnish(path / "odd")
    (path / "images" / "link.h5").symlink_to(path.parent / "outside.h5")
    (path / "images" / "loop.h5").symlink_to("loop.h5")
    os.mkfifo(path / "images" / "fifo.h5")
    (path / "images" / "folder.h5").mkdir()
    (path / "images" / "empty.h5").touch()
    (path / "images" / "text.h5").write_text("no HDF5")
    hdf5(path.parent / "outside.h5", 9)
    with h5py.File(path / "images" / "huge.h5", "w") as file:
        file.create_dataset("data/image", (10**5, 10**6), np.float64, chunks=(1000, 1000))


def altered(rng, path):
    """Alter one HDF5 file of a list: its bytes, or what it names."""
    kind = rng.integers(10)
    if kind < 4:
        tree = mutated(rng, {path.name: path.read_bytes()}, [{path.name: path.read_bytes()}])
        path.write_bytes(tree[path.name])
        return "bytes"
    name = "data/image" if path.parent.name == "images" else "data/instance"
    shape = pick(
        rng, [(), (0, 4), (1,) * 7, (4,), (10**6, 10**6), (2, 2), (1, 32, 32), (3, 32, 32)]
    )
    word = pick(
        rng, ["link", "external", "virtual", "type", "shape", "attribute", "group", "twice"]
    )
    with h5py.File(path, "r+") as file:
        if word == "attribute":
            value = pick(
                rng,
                [
                    np.nan,
                    [np.inf, 1],
                    [-1.0, 0],
                    "x",
                    b"\xff",
                    [1e308] * 2,
                    [1e-320] * 2,
                    np.zeros((3, 3)),
                ],
            )
            file[name].attrs[pick(rng, ["spacing", "axes", "element_size_um", "note"])] = value
            return f"{word} {value}"
        del file[name]
        if word == "link":
            file[name] = h5py.SoftLink(pick(rng, ["/data", f"/{name}", "/nowhere"]))
        elif word == "external":
            file[name] = h5py.ExternalLink(
                pick(rng, ["/etc/passwd", "../outside.h5"]), "/data/image"
            )
        elif word == "virtual":
            layout = h5py.VirtualLayout((32, 32), np.float32)
            layout[:] = h5py.VirtualSource("../outside.h5", "data/image", (32, 32))
            file.create_virtual_dataset(name, layout)
        elif word == "type":
            kinds = [
                np.complex64,
                "S4",
                h5py.string_dtype(),
                np.dtype([("a", "f4")]),
                np.float16,
                bool,
                np.int64,
                h5py.ref_dtype,
            ]
            file.create_dataset(name, (32, 32), pick(rng, kinds))
        elif word == "shape":
            file.create_dataset(
                name, shape, np.float32, chunks=True if len(shape) > 0 and min(shape) else None
            )
        elif word == "group":
            file.create_group(name)
        else:
            for twin in ("data/image", "data/raw_image", "image", "raw"):
                file.create_dataset(twin, (32, 32), np.float32)
    return f"{word} {shape}"


def lists(tally, options):
    """Train for a step by altered lists and altered files in a list, and read them as a benchmark does."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="inputs-") as place:
        attempts = Attempts(Path(place), ["u2net"])
        for number in range(options.tries):
            folder = attempts.folder / f"try{number}" / "data"
            for name in "ab":
                for room in ("images", "masks"):
                    hdf5(folder / room / f"{name}.h5", number)
            odd(folder)
            content, kind = b"images/a.h5;masks/a.h5\nimages/b.h5;masks/b.h5\n", "HDF5 of a list"
            if number % 2:
                about = altered(rng, folder / pick(rng, ["images", "masks"]) / "a.h5")
            else:
                content, kind = listed(rng), "list of images"
                about = content[:600]
            path = folder / pick(rng, ["x_train.csv", "x.csv"])
            path.write_bytes(content)
            given = pick(rng, [path, folder])
            attempts.end(tally, f"{kind}, train", about, [given], "attempts:load", folder.parent)
            words = [path, folder.parent / "runs"]
            attempts.end(tally, f"{kind}, benchmark", about, words, "attempts:read", folder.parent)


KINDS = {"migrate": migrate, "hjson": hjson, "toml": toml, "lists": lists}

if __name__ == "__main__":
    campaign("inputs", KINDS, __doc__, tries=200)
