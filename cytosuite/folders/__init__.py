"""Folders of annotated images as people have them, and the parts into which they are divided."""
