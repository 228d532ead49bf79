"""Builders and contract suites that plug-ins inherit."""
