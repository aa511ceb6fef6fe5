"""The certificate authority: the article's openssl lines, and what makes them safe around them.

authority (who signs), family (who issued whom), keys (a key and its CSR), profile (what a certificate may do);
issuing (one request or many) inside transaction (kept whole or not at all) over database (index and ledger), then readback;
identity and renewal (a device's certificate), proof (possession of a CA's key), revocation; audit and audit_database (findings);
inspect (certificates as values).
"""
