"""StarDist, a tool of others, as an algorithm: its own network, training and suppression."""

import os

# TensorFlow reads them when it is imported: the threads of other programs, kernels that repeat.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, os.environ.get("OMP_NUM_THREADS", "0"))
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
