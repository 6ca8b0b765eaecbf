"""Logs and metrics. Every metric of every service is declared here: name, kind, unit, meaning."""

import logging

import structlog
from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Counter("http_requests_total", "Requests answered.", ["service", "route", "status"])
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds", "Time to answer.", ["service", "route"], buckets=SECONDS
)
CONSUMER_RECORDS = Counter(
    "consumer_records_total",
    "Records read, by outcome: applied, duplicate, skipped (nobody here folds that type).",
    ["service", "lane", "outcome"],
)
CONSUMER_BATCH_SECONDS = Histogram(
    "consumer_batch_duration_seconds",
    "Time to apply one batch, commit included.",
    ["service", "lane"],
    buckets=SECONDS,
)
CONSUMER_FENCED = Counter(
    "consumer_fenced_total",
    "Batches dropped because another process had passed the offset.",
    ["service", "lane"],
)
CONSUMER_GAPS = Counter(
    "consumer_gaps_total",
    "Fetches that began behind our place; read again before they are believed.",
    ["service", "lane"],
)
CONSUMER_LAG = Gauge(
    "consumer_lag_records",
    "Records in the log and not applied yet, of the partitions assigned to this process.",
    ["service", "lane"],
)
CONSUMER_RETRIES = Counter(
    "consumer_retries_total", "Batches tried again, by reason.", ["service", "lane", "reason"]
)
DEAD_LETTERS = Counter(
    "dead_letters_total", "Records given up, by reason.", ["service", "lane", "reason"]
)
REDRIVES = Counter(
    "dead_letter_redrives_total",
    "Dead letters redriven, by outcome: applied, duplicate, still_broken.",
    ["service", "outcome"],
)
OUTBOX_PUBLISHED = Counter("outbox_published_total", "Events published by the relay.", ["service"])
OUTBOX_PENDING = Gauge(
    "outbox_pending_events", "Events seen by the relay and not yet acknowledged.", ["service"]
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "outbox_oldest_seconds",
    "Age of the oldest event that waits in the outbox; grows while any transaction stays open.",
    ["service"],
)
JOB_RUNS = Counter(
    "job_runs_total", "Runs of a time-driven job, by outcome.", ["service", "job", "outcome"]
)
MESSAGES_ENDED = Counter(
    "cadence_messages_ended_total",
    "Messages that came to an end, or were planned again after a try, by channel.",
    ["channel", "state"],
)
MESSAGES_UNDER_WAY = Gauge(
    "cadence_messages_under_way", "Messages that this process is handing over now."
)
HITS_CLASSED = Counter(
    "cadence_hits_classed_total", "Opens and clicks, by class.", ["kind", "class"]
)
LOOP_LAG_SECONDS = Gauge("event_loop_lag_seconds", "How late the event loop wakes up.", ["service"])
INGEST_EVENTS = Counter(
    "ingest_events_total",
    "Events at the edge, by outcome: accepted, duplicate, rejected.",
    ["source", "outcome"],
)
INGEST_REJECTED = Counter("ingest_events_rejected_total", "Events refused, by code.", ["code"])
INGEST_BODY_BYTES = Counter(
    "ingest_body_bytes_total", "Bytes of bodies, on the wire and inflated.", ["stage"]
)
INGEST_INFLIGHT_BYTES = Gauge(
    "ingest_inflight_bytes", "Bytes accepted and not yet in Kafka or in the spill."
)
INGEST_PRODUCE_SECONDS = Histogram(
    "ingest_produce_duration_seconds",
    "Time from hand-over to Kafka's ack, or the spill's sync.",
    buckets=SECONDS,
)
INGEST_ACKNOWLEDGED = Counter(
    "ingest_acknowledged_events_total",
    "Events that a sender was told 200 for: in Kafka or in the spill; repeats not counted.",
)
INGEST_UNACCOUNTED = Gauge(
    "ingest_unaccounted_events",
    "Acknowledged events that stand neither in Kafka nor in the spill, as the log ends and the"
    " files on disk say. Anything but 0 is a loss.",
)
INGEST_SPILL_BYTES = Gauge("ingest_spill_bytes", "Bytes that the spill takes on disk.")
INGEST_SPILL_EVENTS = Gauge(
    "ingest_spill_events", "Events that stand in the spill and not in Kafka yet."
)
INGEST_SPILL_OLDEST_SECONDS = Gauge(
    "ingest_spill_oldest_seconds", "How long the oldest event of the spill has waited; 0 if none."
)
INGEST_SPILLED = Counter("ingest_spilled_events_total", "Events written to the spill, durably.")
INGEST_DRAINED = Counter(
    "ingest_drained_events_total", "Events of the spill that Kafka has acknowledged."
)
INGEST_SPILL_BROKEN = Counter(
    "ingest_spill_broken_frames_total", "Unreadable stretches of the spill that were put aside."
)
INGEST_SPILL_SYNC_SECONDS = Histogram(
    "ingest_spill_sync_duration_seconds",
    "Time to write and sync one group of appends.",
    buckets=SECONDS,
)
LEDGER_BROKEN = Gauge(
    "ledger_broken_invariants",
    "What does not hold of the books of a workspace, at the last look. Anything but 0 is wrong"
    " figures: no month is closed meanwhile.",
    ["workspace"],
)
LEDGER_CLOSED = Counter("ledger_months_closed_total", "Months closed.")
PRODUCER_REBUILT = Counter(
    "kafka_producer_rebuilt_total", "Producers thrown away and built anew, by reason.", ["reason"]
)


def configure_logging(service: str, level: str) -> None:
    """Log as one JSON object a line on standard output, with the service bound."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    silence("aiokafka", "uvicorn", "uvicorn.access", "asyncio")


def silence(*loggers: str) -> None:
    """Keep libraries quiet below critical: their faults reach us as exceptions, which we log."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
