"""Rules that propose candidates."""
