"""What time itself causes in cadence: messages fall due and go out, hits get their class."""
