"""The only importer of aiokafka: reader (group as a hint), writer (relay), batches (the edge)."""
