"""Files of a user: images to run on and their results, pairs to score, sizes that images share."""
