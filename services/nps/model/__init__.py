"""The rules of nps: frozen values and pure functions; time and policy come as arguments.

Scores and margins are points, -100 to 100; shares, proportions and probabilities run from 0 to 1.
"""
