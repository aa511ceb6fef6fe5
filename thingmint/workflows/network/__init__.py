"""Networks without IPv4: what their addresses stand for."""
