"""Build the algorithms' container images, and know whether an image is current."""
