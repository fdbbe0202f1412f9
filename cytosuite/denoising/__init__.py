"""Denoisers: a network, the course of its noise, and whole images made by its passes."""
