"""A run as commands handle it: planned, made of other runs and files, and concluded."""
