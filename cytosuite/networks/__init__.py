"""Parts shared by networks: weights, tiles, intensities, compiled loops."""
