"""Training of view fusion; not part of its container."""
