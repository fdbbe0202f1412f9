"""The options of each command, apart from what runs it: a help loads no more."""
