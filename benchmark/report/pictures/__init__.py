"""Pictures of volumes: planes of equal contrast, outlines and differences, as PNG."""
