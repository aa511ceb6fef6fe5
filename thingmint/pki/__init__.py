"""The certificate authority: the article's openssl lines, and what makes them safe around them.

Each room may use those above it, and none below:

    (here)      inspect (certificates, CSRs, keys as values), encoding (CSRs as modems write them), profile (what a
                certificate may do), signer (an authority's paths), token, wish (what a command line asked for), bench
                (the CA's folder while its lock is held)
    store       what an authority remembers: index.txt, the ledger behind it, the snapshot
    keys        a key and its CSR; an authority's key, encrypted or on a token, and the one way to it
    signing     requests inside a transaction, read back before anything is published; revocation
    authority   which there are, who issued whom; made, delegated, proven to the hub
    device      an identity, its renewal, a key that never leaves its modem, a series
    bundle      the team's authorities in one file: vetted, joined with what is here
    audit       every invariant, proven from the files
"""
