"""Sketches of tissue with labelled membranes, and their annotation."""
