"""nnU-Net, a tool of others, as an algorithm: instances by the classes inside and border."""
