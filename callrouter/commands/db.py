"""`callrouter db`: the database's tables."""
