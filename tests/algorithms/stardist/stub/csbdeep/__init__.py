"""Names of csbdeep that StarDist's users need."""
