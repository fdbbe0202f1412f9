"""A command and its user: options, progress, tables."""
