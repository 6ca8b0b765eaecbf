"""Event door of nps: which events it reads, and which function answers each."""

from services.nps.handlers.deliveries import DELIVERIES
from services.nps.handlers.people import PEOPLE
from services.nps.handlers.revenue import REVENUE
from shared.service import CONTROL_LANE

LANES = (CONTROL_LANE, PEOPLE, REVENUE, DELIVERIES)
