"""SQL: plain functions, session first, that read, write and claim rows. `find_` may return None, `get_` raises, `list_` pages.

The session adds the tenant; no function here takes one, but where a row that is written carries it. Imports models and what
lies below; a new noun is a new file with the same stem as its table.
"""
