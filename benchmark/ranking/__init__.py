"""Ranking of algorithms: schemes, bootstrap, tests and tiers, of a run or of any long table."""
