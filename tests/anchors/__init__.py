"""A second opinion on when messages are due: a scheduler that lives through time, tick by tick."""
