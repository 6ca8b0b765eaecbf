"""HTTP door of ingest: the edge for events, workspaces and keys, receipts and refused events."""
