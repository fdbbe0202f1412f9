"""Training of HarmonicNet: shapes of the objects, losses, settings."""
