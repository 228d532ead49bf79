"""Nouns and ports; stdlib and numpy only."""
