"""Mimics the names, signatures and files of nnU-Net 2.6 that the adapter meets; its network thresholds."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tifffile
import torch

PARTS = (
    *("inference", "inference.predict_from_raw_data", "utilities", "utilities.plans_handling"),
    *("utilities.plans_handling.plans_handler", "utilities.get_network_from_plans", "training"),
    *("experiment_planning", "experiment_planning.plan_and_preprocess_api"),
    *("training.nnUNetTrainer", "training.nnUNetTrainer.nnUNetTrainer"),
)
for part in PARTS:
    sys.modules[f"nnunetv2.{part}"] = sys.modules[__name__]
plan_and_preprocess_api = sys.modules[__name__]
NAME = "Dataset001_cytosuite"
RAW, PREPROCESSED, RESULTS = (
    Path(os.environ.get(name, "/absent"))
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
)
assert int(os.environ["nnUNet_def_n_proc"])  # noqa: SIM112
CALLS = []


class Network(torch.nn.Module):
    """Inside above twice a level, border above it; like nnU-Net's it has a module in two places."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(1, 1, bias=False)
        self.decoder = torch.nn.Sequential(self.encoder)

    def forward(self, image):
        level = self.encoder.weight[0, 0]
        return torch.stack([0 * image, image - 2 * level, (image > level) * level / 2 - 0.1])


def get_network_from_plans(name, kwargs, imports, channels, classes, allow_init, deep_supervision):
    assert (name, channels, classes, allow_init) == ("Network", 1, 3, False)
    assert not deep_supervision
    return Network()


class Preprocessor:
    def __init__(self, verbose):
        pass

    def run(self, number, configuration, plans, num_processes):
        CALLS.append(("preprocess", configuration, plans, num_processes))


class PlansManager:
    def __init__(self, plans):
        self.plans = plans

    def get_configuration(self, name):
        configuration = self.plans["configurations"][name]
        assert self.plans["dataset_name"] == NAME
        return SimpleNamespace(
            network_arch_class_name=configuration["network"],
            network_arch_init_kwargs={},
            network_arch_init_kwargs_req_import=[],
            preprocessor_class=Preprocessor,
        )


class nnUNetPredictor:  # noqa: N801
    def __init__(
        self, tile_step_size, use_mirroring, perform_everything_on_device, device, allow_tqdm
    ):
        assert tile_step_size == 0.5
        CALLS.append(("mirroring", use_mirroring))

    def manual_initialization(
        self, network, plans, configuration, parameters, dataset, trainer, mirroring
    ):
        self.network = network
        self.parameters = parameters

    def predict_logits_from_preprocessed_data(self, data):
        self.network.load_state_dict(self.parameters[0])
        return self.network(data[0])

    def predict_single_npy_array(self, image, properties):
        assert image.dtype == np.float32
        assert image.ndim == 4  # c, z, y, x
        CALLS.append(("spacing", properties["spacing"]))
        data = torch.from_numpy(image)
        with torch.inference_mode():
            return self.predict_logits_from_preprocessed_data(data).argmax(0).numpy()


def extract_fingerprint_dataset(number, num_processes):
    assert os.environ["nnUNet_n_proc_DA"] != "0"  # noqa: SIM112 - the planner refuses it
    described = json.loads((RAW / NAME / "dataset.json").read_text())
    assert len(list((RAW / NAME / "imagesTr").glob("*_0000.tif"))) == described["numTraining"]
    (PREPROCESSED / NAME).mkdir(parents=True)


def plan_experiment_dataset(number, gpu_memory_target_in_gb):
    shutil.copy(RAW / NAME / "dataset.json", PREPROCESSED / NAME)
    reader = json.loads((RAW / NAME / "dataset.json").read_text())["overwrite_image_reader_writer"]
    plan = {"network": "Network", "spacing": [0.4, 3.0, 0.6]}  # y, z, x
    plans = {"dataset_name": NAME, "image_reader_writer": reader, "transpose_backward": [1, 0, 2]}
    return {**plans, "configurations": {"2d": plan, "3d_fullres": plan}}, "nnUNetPlans"


class nnUNetTrainer:  # noqa: N801
    def __init__(self, plans, configuration, fold, dataset_json, device):
        self.plans_manager = PlansManager(plans)
        self.dataset_json = dataset_json
        self.configuration, self.fold, self.num_epochs = configuration, fold, 1000
        self.num_iterations_per_epoch = 250
        self.current_epoch = 0

    def on_epoch_end(self):
        self.current_epoch += 1

    def run_training(self):
        assert os.environ["nnUNet_n_proc_DA"] == "0"  # noqa: SIM112
        split = json.loads((PREPROCESSED / NAME / "splits_final.json").read_text())[self.fold]
        CALLS.append(("train", split, self.num_epochs, self.num_iterations_per_epoch))
        levels = []
        for case in split["train"]:
            classes = tifffile.imread(RAW / NAME / f"labelsTr/{case}.tif")
            image = tifffile.imread(RAW / NAME / f"imagesTr/{case}_0000.tif")
            levels.append(float(image[classes == 2].min()) - 1)
        for _ in range(self.num_epochs):
            self.on_epoch_end()
        self.network = Network()
        self.inference_allowed_mirroring_axes = (0, 1)
        self.network.encoder.weight.data[:] = min(levels)
        self._save()

    def _save(self):
        folder = RESULTS / NAME / f"nnUNetTrainer__nnUNetPlans__{self.configuration}"
        (folder / "fold_0").mkdir(parents=True)
        (folder / "plans.json").write_text(json.dumps(self.plans_manager.plans))
        (folder / "dataset.json").write_text(json.dumps(self.dataset_json))
        stored = {
            "network_weights": self.network.state_dict(),
            "init_args": {"configuration": self.configuration, "device": torch.device("cpu")},
            "logging": {"losses": [np.float64(0.5), np.float32(0.25)], "name": np.str_("a")},
            "inference_allowed_mirroring_axes": self.inference_allowed_mirroring_axes,
            "trainer_name": "nnUNetTrainer",
        }
        torch.save(stored, folder / "fold_0/checkpoint_final.pth")
