"""The command line: thin. Parse, call, print. Heavy imports stand inside the commands, so that `--help` is quick."""
