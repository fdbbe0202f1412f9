"""Results on disk: whole, unaltered, written by one program at a time."""
