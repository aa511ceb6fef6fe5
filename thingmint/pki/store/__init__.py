"""What an authority remembers: openssl's index and the ledger behind it, and the snapshot that a cut-off run is put back from."""
