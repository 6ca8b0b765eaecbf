"""metrics: the revenue ledger, contracts, and the figures by which roles steer.

Owns: the ledger of billing facts and what follows from it (movements, months, windows, cohorts,
restatements), contracts, concessions, opportunities, and the KPIs of each role.
Consumes: ingest.{workspaces,keys,accounts,interactions,billing}, nps.surveys.
Publishes: metrics.revenue (movements, restatements, closed months, settings), metrics.contracts
(opt-outs, renewals, opportunities).
"""
