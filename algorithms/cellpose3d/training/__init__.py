"""Training of Cellpose3D: cases, patches with a camera, losses, settings."""
