"""The hub's query language over twins: read into a tree, evaluated on each twin's JSON."""
