"""Use cases: load facts, ask the rules, write through the store, note it on the timeline.

A flow runs in one transaction that its caller opened and commits (`units.Units`). Imports store, models, schemas, rules; knows
neither HTTP nor SQL.
"""
