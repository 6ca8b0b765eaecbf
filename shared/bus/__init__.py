"""The event runtime: from a batch of bytes in Kafka to one committed transaction, and back out.

Read in this order: record (wire form), handlers (what a service folds), consumer (the straight
road), retry (what a fault means), letters (what is given up), redrive (and applied after all),
tables (all SQL of the runtime), relay (outbox to Kafka), jobs (the clock's door), kafka (the only
importer of aiokafka), memory (a log for tests of the road).
"""
