"""Annotated images as people keep them: masks of one object each, COCO files, colours."""
