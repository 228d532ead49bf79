"""The deterministic loop and what it reports."""
