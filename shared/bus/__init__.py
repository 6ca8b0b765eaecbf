"""The event runtime: from a batch of bytes in Kafka to one committed transaction, and back out.

Read in this order: record (wire form), handlers (what a service folds), consumer (the straight
road), retry (what a fault means), breaker and letters (what is given up, and when a lane stops),
redrive (and applied after all), tables (all SQL of the runtime), seen (which ids were applied, in
memory), relay (outbox to Kafka), jobs (the clock's door), spill (what the edge asks of a disk),
kafka (the only importer of aiokafka), memory (a log for tests of the road).
"""
