"""The widget in a real browser, against the real web, Valkey and Postgres."""
