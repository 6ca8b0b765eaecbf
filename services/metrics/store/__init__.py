"""All SQL of metrics. Functions take the open transaction; none commits."""
