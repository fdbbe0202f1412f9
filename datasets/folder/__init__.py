"""Any user's own images, with or without annotation, as a dataset."""
