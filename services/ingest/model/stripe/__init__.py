"""Reads Stripe's webhooks into billing facts and payments, of whatever API version they are.

`event` is the table of what each kind of event means. Below it `snapshots`, `objects` and
`payments` say it; they read `envelope`, and the subscriptions that `shared.stripe` reads.
Nothing is guessed: what an event leaves open is named in the fact, or refused.
"""
