"""Alembic finds this file by its name; what it does is the same for every service."""

from shared.migrate import run_migrations

run_migrations()
