"""Training of U2-Net: classes of pixels, losses of all depths, settings."""
