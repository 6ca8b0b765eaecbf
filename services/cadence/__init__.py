"""cadence: the right message at its moment, the contact that is due, the work of people.

Owns: lifecycle stage, consents, messages and their deliveries, programs and templates, touches
and the contact promise by tier, staff and who owns which account, tasks, plays, success plans.
Consumes: ingest.{workspaces,keys,datakeys,usage,usage.history,usage.overflow,accounts,
interactions}, health.accounts, nps.surveys, metrics.{revenue,contracts}.
Publishes: cadence.deliveries (messages and what people did with them), cadence.work (stages,
plans, touches, tasks, plays, consents).
"""
