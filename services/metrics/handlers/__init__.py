"""Event door of metrics: which events it reads, and which function answers each."""

from services.metrics.handlers.billing import facts_recorded
from shared.bus.handlers import BatchFold, Lane
from shared.events import ingest
from shared.service import CONTROL_LANE

LEDGER = Lane(
    name="ledger",
    topics=(ingest.BILLING,),
    folds=(BatchFold(on=(ingest.BillingFactRecorded,), handle=facts_recorded),),
)
LANES = (CONTROL_LANE, LEDGER)
