"""Parts shared by networks: weights, tiles, grids, intensities, compiled loops."""
