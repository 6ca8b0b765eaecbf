"""Docs made from the code: `python -m deploy.docs` writes them, `--check` fails when stale."""
