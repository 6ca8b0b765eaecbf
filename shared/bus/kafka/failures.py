"""What aiokafka lets through when something could not be sent."""

from aiokafka.errors import KafkaError

# RuntimeError: uvloop's answer to a write to a connection that was closed this moment.
SEND_ERRORS = (KafkaError, OSError, RuntimeError)
