"""Options of ``doctor``."""

from cytosuite.benchmark.commands.terminal.options import JsonOptions, command_options


@command_options
class DoctorOptions(JsonOptions):
    """Options of a look at this machine."""
