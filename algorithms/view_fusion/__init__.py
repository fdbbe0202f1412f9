"""View fusion: one light-sheet view in, an estimate of the fused views out."""
