"""The ways out of the house: mail, a person's inbox, webhooks, Slack. Each says how it ended."""
