"""`python -m services.<name> rebuild`: the tables anew from the log, beside the live ones.

Read: conduct (the course of it), replay (log to shadow), rules (what becomes of each table),
comparison, carrying and swap (all SQL on two schemas), offsets, catalog.
"""
