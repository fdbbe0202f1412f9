"""Figures as SVG: axes, marks and elements, for reports and trainings."""
