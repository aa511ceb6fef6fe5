"""What the lab remembers: one SQLite file, a module for each kind of record."""
