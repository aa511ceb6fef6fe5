"""A device under trial: the lab behaves towards it as it is told, sees what it does, and is itself again afterwards."""
