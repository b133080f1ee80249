"""The command line: thin. Parse, call, print. One file a noun; `main.py` names every command and where it lives.

Heavy imports stand inside the commands, so that `--help` is quick: at the top of a file only click, the enums and structs
of `incident_manager.rules` and `.schemas`, and what is light here. A new command is a function in its noun's file and a
line in `main.COMMANDS` (or in its group).
"""
