"""Brings history in: CSV and NDJSON files, mapped and sent through the public edge of ingest.

`python -m importer FILE... --map time=ts` reads, maps and sends in one pass, with bounded memory.
A second run of the same file changes nothing: each row's message id is a hash of its content.
"""
