"""All SQL of cadence. Functions take the open transaction; none commits."""
