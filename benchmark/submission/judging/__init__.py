"""Judge submissions on a challenge platform by the metrics and rules of a benchmark."""
