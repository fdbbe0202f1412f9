"""Training of the masks."""
