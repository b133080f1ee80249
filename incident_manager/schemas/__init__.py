"""What goes over the wire: msgspec structs, one file a noun (`In`, `Patch`, `Out`), and how bytes become them.

Imports `rules` for its closed sets and `errors`; never tables, never the framework. A new noun is a new file here with the
same stem as in every other folder.
"""
