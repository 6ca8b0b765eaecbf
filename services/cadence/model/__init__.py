"""The rules of cadence: frozen values and pure functions; time and policy come as arguments."""

RULE_VERSION = 1  # recorded with every decision; goes up when a rule gives another answer
