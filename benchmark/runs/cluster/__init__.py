"""Work that is spread over processes, workers of a cluster and GPUs."""
