"""The entry point: the groups and commands of the command line, each loaded only when it is used."""


def run() -> None:
    """Run the command line."""
