"""Programs of hostile containers: functions; the docstring is the row that must appear.

It names the statuses that a case may end with and, after a colon, words of the reason.
"""
