"""Pure decisions: values and `now` in, a verdict with its reason out.

Imports nothing but the standard library, msgspec and its siblings: no I/O, no clock, no tables. A new rule is a new file
with a function that returns a decision, and its table of cases in tests/rules/.
"""
