"""Names of Keras 3 that a training of StarDist needs."""

from types import SimpleNamespace

__version__ = "3.stub"
seeds = []
utils = SimpleNamespace(set_random_seed=seeds.append, disable_interactive_logging=lambda: None)
callbacks = SimpleNamespace(LambdaCallback=lambda on_epoch_end: on_epoch_end)
