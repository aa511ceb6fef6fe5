"""The certificate authority: the article's openssl lines, and what makes them safe around them.

authority (who signs), keys (a key and its CSR), transaction (the crash-safe `openssl ca`: snapshot, database, checks),
identity (a device's certificate), proof (possession of a CA's key), inspect (certificates as values).
"""
