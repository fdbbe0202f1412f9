"""3D CycleGAN: simulated volumes in the look of a microscope, structure kept."""
