"""Private keys and the CSRs for them: in files, encrypted, or on a token; and the one way to an authority's key."""
