"""Check files before an upload: image archives, tarballs, outputs, each by rules with an id."""
