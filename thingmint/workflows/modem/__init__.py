"""The modem on the desk: what it holds, and what is loaded into it."""
