"""Event door of metrics: which events it reads, and which function answers each."""

from dataclasses import replace

from services.metrics.handlers.accounts import accounts_upserted
from services.metrics.handlers.agreements import (
    concessions_granted,
    contracts_told,
    features_wished,
    members_named,
    payments_succeeded,
)
from services.metrics.handlers.answers import answered
from services.metrics.handlers.billing import facts_recorded
from services.metrics.handlers.settings import workspaces_configured
from shared.bus.handlers import BatchFold, Lane
from shared.events import ingest, nps
from shared.service import CONTROL_LANE

SETTINGS = BatchFold(on=(ingest.WorkspaceConfigured,), handle=workspaces_configured)
FACTS = BatchFold(on=(ingest.BillingFactRecorded,), handle=facts_recorded)
ANSWERS = BatchFold(on=(nps.Answered,), handle=answered)
ACCOUNTS = BatchFold(on=(ingest.AccountUpserted,), handle=accounts_upserted)
WISHES = BatchFold(on=(ingest.FeedbackReceived,), handle=features_wished)
MEMBERS = BatchFold(on=(ingest.AccountUpserted, ingest.UserIdentified), handle=members_named)
CONTRACTS = BatchFold(on=(ingest.ContractUpserted, ingest.ContractCancelled), handle=contracts_told)
CONCESSIONS = BatchFold(
    on=(ingest.ConcessionGranted, ingest.DealClosed), handle=concessions_granted
)
PAYMENTS = BatchFold(on=(ingest.PaymentSucceeded,), handle=payments_succeeded)

CONTROL = replace(
    CONTROL_LANE,
    folds=tuple(
        SETTINGS if ingest.WorkspaceConfigured in fold.types else fold
        for fold in CONTROL_LANE.folds
    ),
)
LEDGER = Lane(
    name="ledger",
    topics=(ingest.BILLING, ingest.ACCOUNTS, ingest.INTERACTIONS, nps.SURVEYS),
    folds=(ACCOUNTS, FACTS, ANSWERS, CONTRACTS, CONCESSIONS, PAYMENTS, WISHES, MEMBERS),
)
LANES = (CONTROL, LEDGER)
