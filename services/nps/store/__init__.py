"""All SQL of nps. Functions take the open transaction; none commits."""
