"""The stub is no module of ours: its doctests are not looked for."""

collect_ignore = ["stub"]
