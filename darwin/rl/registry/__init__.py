"""Versions of models: their folders, what became of them, and which one serves."""
