"""Where mail goes on a development machine: it is taken, kept in memory, and shown on a page."""
