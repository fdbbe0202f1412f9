"""Names, signatures and files of Cellpose 3, without its network."""
