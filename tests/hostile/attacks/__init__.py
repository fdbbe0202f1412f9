"""Programs of hostile containers, each with the row that must appear.

A function's docstring is the row, or the heading of the `ATTACKS` among which it stands. It names
the statuses that a case may end with and, after a colon, words of the reason.
"""
