"""Faults on the real thing: brokers, databases and services are killed, cut and stalled."""
