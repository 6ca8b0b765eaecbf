"""Apache Kafka 4.1 (KRaft) from its jars: one node for demo and tests, three brokers for faults.

`cluster.py` is the handle; `node.py` says what a node is; `storage.py` formats its directory;
`quick_start.py` keeps what makes a start fast; `ready.py` asks a broker whether it serves.
"""
