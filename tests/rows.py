"""Read the tables that commands write."""

import csv


def rows_of(path):
    """Return the rows of a CSV file as mappings."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
