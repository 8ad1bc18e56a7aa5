"""The error for bad input, and the hints that its messages share."""

MINIATURE_COMMAND = "snakemake --cores all figures --configfile miniature.yaml"
OFFLINE_HINT = f"without a network, build the miniature study: {MINIATURE_COMMAND}"


class InputError(ValueError):
    """Bad input. The message is one line that names the key, file or URL and says what was expected."""


class MachineError(InputError):
    """This machine lacks something. The same job may succeed on another one."""


def one_line(error: Exception) -> str:
    """The message of `error` on one line, or its class if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
