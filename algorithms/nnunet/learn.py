"""Training by nnU-Net's own code, in its own files, and models that it wrote."""

import json
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from os import environ
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import numpy as np
import tifffile
import torch
from torch import Tensor

from cytosuite.algorithms.nnunet.predict import (
    CLASSES,
    PLANES,
    build,
    classes_of,
    names,
    nnunet,
    tool,
)
from cytosuite.contract import progress
from cytosuite.contract.learning import Learned, Pair
from cytosuite.contract.progress import report
from cytosuite.errors import InputError, last_line
from cytosuite.files import Entries, Lists, read_json, write_json
from cytosuite.files.archive import opened_zip
from cytosuite.networks.network import device

DATASET = "Dataset001_cytosuite"  # its number is 1
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
FILES = ("plans.json", "dataset.json", "checkpoint_final.pth")
# Numbers and words in the log of a checkpoint, by their names in NumPy 2 and 1.
SCALAR = cast(Any, np)._core.multiarray.scalar  # no name of its interface
SAFE: list[Any] = [SCALAR, (SCALAR, "numpy.core.multiarray.scalar"), np.dtype]
SAFE += [getattr(np.dtypes, f"{kind}DType") for kind in ("Float64", "Float32", "Int64", "Str")]


def learn(pairs: Sequence[Pair], settings: Entries, scratch: Path) -> Learned:
    """Return a model that nnU-Net planned and trained; InputError for pairs it cannot learn of."""
    axes = sorted({pair.image.axes for pair in pairs})
    if axes not in (["YX"], ["ZYX"]) or len(pairs) < 2:
        raise InputError(
            f"nnunet: expected two images or more, all YX or all ZYX, found {len(pairs)} with "
            f"the axes {', '.join(axes)}"
        )
    for name in [n for n in sys.modules if n.partition(".")[0] == "nnunetv2"]:
        del sys.modules[name]  # it reads its folders once, when it is imported
    environ.update({name: str(scratch / name) for name in FOLDERS})
    environ.update(nnUNet_n_proc_DA="1", nnUNet_compile="false")  # a container has no compiler
    split = write_dataset(pairs, scratch / FOLDERS[0] / DATASET, float(settings["border_px"]))
    torch.manual_seed(int(settings["seed"]))
    configuration = "2d" if axes == ["YX"] else "3d_fullres"
    trainer = _trainer(configuration, split, scratch / FOLDERS[1] / DATASET, settings)
    trainer.run_training()
    return _learned(
        configuration,
        trainer.plans_manager.plans,
        trainer.dataset_json,
        trainer.inference_allowed_mirroring_axes,
        trainer.network.state_dict(),
    )


def write_dataset(pairs: Sequence[Pair], raw: Path, border_px: float) -> Lists:
    """Write a dataset in the files of nnU-Net; return its split, every fifth for validation."""
    for number, pair in enumerate(pairs):
        flat = pair.image.axes == "YX"
        case = f"case_{number:04d}"
        spacing = (1.0, 1.0) if flat else pair.image.spacing
        for folder, name, array in (
            ("imagesTr", f"{case}_0000.tif", pair.image.array),
            ("labelsTr", f"{case}.tif", classes_of(pair.labels.array, spacing, border_px)),
        ):
            (raw / folder).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(raw / folder / name, array)
            if not flat:
                write_json(raw / folder / f"{case}.json", {"spacing": list(spacing)})
    described = {
        "channel_names": {"0": "intensity"},
        "labels": CLASSES,
        "numTraining": len(pairs),
        "file_ending": ".tif",
        "overwrite_image_reader_writer": PLANES if flat else "Tiff3DIO",
    }
    write_json(raw / "dataset.json", described)
    cases = [f"case_{number:04d}" for number in range(len(pairs))]
    held_out = cases[4::5] or cases[-1:]
    return {"train": [case for case in cases if case not in held_out], "val": held_out}


def _trainer(
    configuration: str, split: Mapping[str, list[str]], folder: Path, settings: Entries
) -> Any:  # noqa: ANN401 - nnU-Net's
    """Return nnU-Net's trainer after its planning and preprocessing, of another length."""
    nnunet()
    from nnunetv2.experiment_planning import plan_and_preprocess_api as planning
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    planning.extract_fingerprint_dataset(1, num_processes=1)
    plans, name = planning.plan_experiment_dataset(
        1, gpu_memory_target_in_gb=float(settings["memory_gb"])
    )
    planned = PlansManager(plans).get_configuration(configuration)
    planned.preprocessor_class(verbose=False).run(1, configuration, name, num_processes=1)
    write_json(folder / "splits_final.json", [split])
    trainer = nnUNetTrainer(
        plans, configuration, 0, read_json(folder / "dataset.json"), torch.device(device())
    )
    trainer.num_epochs = int(settings["epochs"])
    trainer.num_iterations_per_epoch = int(settings["steps"])
    trainer.num_val_iterations_per_epoch = int(settings["validation_steps"])
    ended = trainer.on_epoch_end

    def _end() -> None:
        ended()
        report(trainer.current_epoch, trainer.num_epochs)

    trainer.on_epoch_end = _end
    environ["nnUNet_n_proc_DA"] = "0"  # batches of this process; the planner refuses a 0
    return trainer


def convert(file: Path, _: Path) -> Learned:
    """Return the model of one fold in a zipped folder of nnU-Net's results; no code of it runs."""
    try:
        with opened_zip(file, names=FILES) as archive:
            places = [[path for path in archive.members if path.name == name] for name in FILES]
            if [len(matches) for matches in places] != [1, 1, 1]:
                raise InputError(f"{file.name}: expected one each of {', '.join(FILES)}")
            plans, described, stored = (archive.read(matches[0]) for matches in places)
        with torch.serialization.safe_globals(SAFE):
            checkpoint = torch.load(BytesIO(stored), map_location="cpu", weights_only=True)
        return _learned(
            checkpoint["init_args"]["configuration"],
            json.loads(plans),
            json.loads(described),
            checkpoint["inference_allowed_mirroring_axes"],
            checkpoint["network_weights"],
        )
    except (ValueError, LookupError, RuntimeError, UnpicklingError) as error:
        raise InputError(f"{file.name}: no model of nnU-Net: {last_line(error)}") from None


def _learned(
    configuration: str,
    plans: Entries,
    described: Entries,
    mirroring: Sequence[int] | None,
    state: Mapping[str, Tensor],
) -> Learned:
    """Return a model with each of its tensors once; InputError if it has other classes."""
    if described["labels"] != CLASSES or len(described["channel_names"]) > 1:
        raise InputError(
            f"nnunet: expected one channel and labels {CLASSES}, found {described['labels']}, "
            f"channels {list(described['channel_names'].values())}"
        )
    parameters = {
        "tool": tool(),
        "configuration": configuration,
        "mirroring": mirroring and list(mirroring),
        "plans": plans,
        "dataset": described,
    }
    progress.state(tool=tool())
    network = build(parameters)
    network.load_state_dict(dict(state))
    state = network.state_dict()
    tensors = {name: state[name].cpu().numpy() for name in sorted(set(names(network).values()))}
    return Learned(parameters, tensors, {"axes": "YX" if configuration == "2d" else "ZYX"})
