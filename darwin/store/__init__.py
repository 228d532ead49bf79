"""Facts on SQLite."""
