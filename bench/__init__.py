"""The measured claims about speed: `python -m bench`, on a Kafka and a PostgreSQL of its own.

Unit: events per CPU-second of the measured process (user and system time of all its threads), so
that other work on the machine shifts the figures less than it would shift a wall clock. Forms are
measured in turn, round after round; a ratio is taken inside one round, and the median is claimed.
"""
