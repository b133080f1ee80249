"""HTTP: Litestar controllers, one file a noun. Each handler decodes, calls one flow in one unit of work, and answers.

No rule and no SQL here. A new noun is a new file with a controller, listed in `app.py`; every handler declares its
`policy`, or the application refuses to start. Types are imported for real: the framework reads them while it starts.
"""
