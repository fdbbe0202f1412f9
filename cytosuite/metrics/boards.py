"""Boards: the metrics and controls by which the results of a task are judged."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from cytosuite.files import Texts, frozen

Control = Literal["oracle", "blank", "nearest", "identity", "real"]
CONTROLS: tuple[Control, ...] = get_args(Control)
OF_FUSION = ("N_IOU", "N_SSIM_centre")  # the first takes long: by its name alone


@frozen
class Board:
    """Metrics and controls by which the results of a task are judged."""

    # folders of `cytosuite.metrics` with the metrics to show where their evidence is known
    families: Texts
    # names of the metrics that algorithms are ranked by, where their evidence is known
    primary: Texts
    # answers scored together with the algorithms: ``oracle``, the truth; ``blank``, zeros;
    # ``nearest``, the true cells linked to the nearest ones; ``identity``, the main input;
    # ``real``, one half of the reference set against the other
    controls: tuple[Control, ...]
    # names of metrics of the families that are not shown: they suit another kind of truth
    without: Texts = ()


BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        "segment": Board(("labels",), ("SEG", "DET"), ("oracle", "blank"), ("DET_NFP",)),
        "detect": Board(("points",), ("F1", "F1_area"), ("oracle", "blank")),
        "track": Board(
            ("tracks",), ("TRA", "SEG", "LNK"), ("oracle", "blank", "nearest"), ("DET_NFP",)
        ),
        "enhance": Board(
            ("images", "realism"),
            ("SSIM", "patch_AUC", "W1_by_std", "lateral_spectrum_distance", "label_AUC"),
            ("oracle", "identity", "real"),
            OF_FUSION,
        ),
        "synthesise": Board(
            ("images", "realism"),
            ("patch_AUC", "W1_by_std", "lateral_spectrum_distance", "label_AUC"),
            ("identity", "real"),
            OF_FUSION,
        ),
        "sample": Board((), (), ()),  # there is no truth of a request
        "fuse": Board(("images",), ("SSIM", "N_SSIM"), ("oracle", "identity"), OF_FUSION[:1]),
    }
)
