"""ingest: the door through which facts come in, and the owner of workspaces and their keys.

Owns: workspaces, API keys and webhook secrets, the edge (every accepted event stands in Kafka
before the reply), receipts of what became of each event, and the events that were refused.
Consumes: its own topics and every service's runtime topic, for receipts.
Publishes: ingest.usage, ingest.usage.history, ingest.unattributed, ingest.accounts,
ingest.interactions, ingest.billing, ingest.rejected (all from the edge), ingest.workspaces and
ingest.keys (by the outbox).
"""
