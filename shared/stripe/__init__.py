"""Reads Stripe's subscription objects into billing facts, of whatever API version they are.

`subscription` makes the fact, out of `prices`, `discounts` and `fields`. Nothing is guessed: what
an object leaves open is named in the fact, or refused.
"""
