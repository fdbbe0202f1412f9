"""The contract of an algorithm: sockets, manifest, models, metadata, one case in and out."""
