"""Models and rules as policies: read, checked, asked one row at a time; no torch."""
