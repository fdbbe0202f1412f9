"""The plugin of napari: files and runs as layers, algorithms, corrections for a fine-tuning."""
