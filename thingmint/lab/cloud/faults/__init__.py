"""Where the lab may misbehave on purpose, what can happen there, and who decides whether it does."""
