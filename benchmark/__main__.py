"""The program ``cytosuite``, or ``python -m cytosuite.benchmark``: it ends as promised."""

import gc
import os

from cytosuite.errors.ending import end


def main() -> None:
    """Run the command line; see `cytosuite.errors.ending.end`."""
    end(_run)


def _run() -> int | None:
    """Run the command line, which is imported here: an interruption can come at any time."""
    gc.set_threshold(20_000)  # loading makes many objects and no garbage: a fifth of the start
    from cytosuite.benchmark.catalog.catalog import CACHE, CHECKOUT
    from cytosuite.benchmark.commands.app import run

    if not CHECKOUT:  # else numba would keep its loops in the installed package
        os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))
    return run()


if __name__ == "__main__":
    main()
