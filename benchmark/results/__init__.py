"""Results of a run: scores, controls, ranks, conditions, and the scores of files on disk."""
