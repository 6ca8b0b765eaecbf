"""The local stack: real Kafka, real PostgreSQL and the six services on one machine.

Read `choice.py` first (where Kafka and PostgreSQL come from), then `stack.py` (how they are
brought up). `python -m deploy.local` is what the Makefile calls.
"""
