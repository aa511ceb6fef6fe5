"""A device's firmware: built, written, and its log understood. Knows neither hub nor modem."""
