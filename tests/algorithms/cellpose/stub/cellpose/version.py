"""Version of the stub."""

version = "3.stub"
