"""Nuclei by a flow field: a U-Net trained on simulated volumes, points that follow the flow."""
