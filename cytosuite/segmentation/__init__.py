"""Steps that segmenters share: background, foreground, and objects from labels."""
