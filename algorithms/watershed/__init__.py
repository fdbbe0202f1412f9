"""Classical nucleus segmentation: threshold, blob seeds, watershed, merging, cut at own peak."""
