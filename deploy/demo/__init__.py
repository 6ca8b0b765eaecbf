"""The demo company: Northwind Analytics and its customers, made up from a seed, seen as of today.

`python -m deploy.demo` loads it into a running Mainstay through the public doors alone.
"""
