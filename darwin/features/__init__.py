"""Indicators and the catalog of features."""
