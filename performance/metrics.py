"""Measure every metric against its peers: the same inputs, one process, medians.

Usage: python performance/metrics.py [labels] [tracking] [images] [wasserstein]

Peers that are not installed are named and left out; `make peers` installs them.
"""

import importlib
import os
import platform
import sys

from side_by_side import table

PARTS = ("labels", "tracking", "images", "wasserstein")


def main() -> None:
    """Print one table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rows = []
    for part in sys.argv[1:] or PARTS:
        rows += importlib.import_module(f"metrics_{part}").rows()
    print(table(rows))


if __name__ == "__main__":
    main()
