"""Version of the stub."""

__version__ = "0.stub"
