"""Runs: the plan, each case in turn, its checks and its record."""
