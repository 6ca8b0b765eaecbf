"""All SQL of ingest. Functions take the open transaction; none commits."""
