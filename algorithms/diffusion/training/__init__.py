"""Training of the diffusion model; not part of its container."""
