"""Results of a run: scores, controls, ranks and conditions."""
