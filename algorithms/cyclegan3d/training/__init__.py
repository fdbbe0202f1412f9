"""Training of the 3D CycleGAN; not part of its container."""
