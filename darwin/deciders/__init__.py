"""Experts that judge candidates."""
