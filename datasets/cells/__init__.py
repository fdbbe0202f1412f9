"""Cells with cytoplasm, nucleus and fluorescent spots, in planes and thin volumes."""
