"""The training of networks: the loop, its settings, checkpoints, validation and publishing."""
