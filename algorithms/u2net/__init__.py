"""U2-Net: nuclei and cells in planes, by a small network of nested U blocks with three classes."""
