"""Trackastra with weights of yours links labels by what the movie shows; MODE: greedy, ilp."""

import os
from pathlib import Path

import tifffile
from case import given
from movie import frames, write
from trackastra.model import Trackastra
from trackastra.tracking import graph_to_ctc

WEIGHTS, MODE = os.environ.get("WEIGHTS", "/opt/model"), os.environ.get("MODE", "greedy")
model, labels = Trackastra.from_folder(Path(WEIGHTS), device="cpu"), frames()
graph, _ = model.track(tifffile.imread(given("microscopy-movie")), labels, mode=MODE)
table, tracked = graph_to_ctc(graph, labels)
write(tracked, table.to_numpy())
