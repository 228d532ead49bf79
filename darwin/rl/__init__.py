"""Learned agents: their pages, their models, their record, and how they are served."""
