"""The benchmark: discovery, plan, run, validation, scores, report."""
