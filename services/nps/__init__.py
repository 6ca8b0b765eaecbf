"""nps: asks one question of the right people at the right time, and reads the answers honestly.

Owns: waves and their fixed populations, invitations, answers, statistics with intervals,
transitions between classes, roll-ups by account and by MRR, themes, loops and requests.
Consumes: ingest.{workspaces,keys,datakeys,accounts,interactions,billing}, cadence.{deliveries,
work}, metrics.{revenue,contracts}.
Publishes: nps.surveys (waves, invitations, answers, changes of class, themes, loops).
"""
