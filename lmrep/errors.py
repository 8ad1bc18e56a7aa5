"""The error for bad input, and the hints that its messages share."""

MINIATURE_COMMAND = "snakemake --cores all figures --configfile miniature.yaml"
OFFLINE_HINT = f"without a network, build the miniature study: {MINIATURE_COMMAND}"


class InputError(ValueError):
    """Bad input. The message is one line that names the key, file or URL and says what was expected."""
