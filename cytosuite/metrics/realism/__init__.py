"""Metrics of images without a paired truth: against a set of real images, or under known labels."""
