"""Darwin: learned agents take over trading decisions, watched first and behind one door."""

__version__ = "0.1.0"
