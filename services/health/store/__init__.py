"""All SQL of health. Functions take the open transaction; none commits."""
