"""Reads Stripe's webhooks into billing facts and payments, of whatever API version they are.

`event` says what each kind of event means; below it `subscription`, then `prices` and `discounts`,
then `fields`. Nothing is guessed: what an event leaves open is named in the fact, or refused.
"""
