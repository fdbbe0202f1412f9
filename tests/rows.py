"""Read the tables that commands write."""

import csv


def rows_of(path):
    """Return the rows of a CSV file as mappings."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def columns(path, *names):
    """Return the values of some columns of a CSV file, a tuple for each row."""
    return [tuple(row[name] for name in names) for row in rows_of(path)]


def lines(path, heads):
    """Return the values of columns, named in one text, of a CSV file, a text for each row."""
    return [",".join(row) for row in columns(path, *heads.split(","))]
