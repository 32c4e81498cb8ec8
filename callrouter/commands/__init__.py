"""The commands of `callrouter …`, one module a family: arguments in, JSON or a table out. No rules live here."""
