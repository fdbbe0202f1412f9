"""Primary and secondary objects by classical steps, after the idea of CellProfiler's modules."""
