"""The sign-in: who gets a token, and what tokens and shared access signatures are worth."""
