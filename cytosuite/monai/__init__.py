"""Parts of this library for programs that are built with MONAI."""

from cytosuite.monai.images import NormaliseBackgroundd as NormaliseBackgroundd
from cytosuite.monai.images import SimulatedDataset as SimulatedDataset
from cytosuite.monai.images import SketchOfLabelsd as SketchOfLabelsd
from cytosuite.monai.images import VolumeReader as VolumeReader
from cytosuite.monai.images import save_volume as save_volume
from cytosuite.monai.inferers import AlgorithmInferer as AlgorithmInferer
from cytosuite.monai.inferers import TileInferer as TileInferer
from cytosuite.monai.inferers import measured_halo as measured_halo
from cytosuite.monai.scheduler import DPMSolverScheduler as DPMSolverScheduler
