"""What ingest decides, without I/O: pure functions from sent bytes to stamped events."""
