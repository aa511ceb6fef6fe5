"""Signing: what is asked, what a certificate may do, `openssl ca` as a transaction, and what came out, read back."""
