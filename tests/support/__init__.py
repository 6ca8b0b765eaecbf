"""What tests stand on: a Kafka and a PostgreSQL of their own, and service processes."""
