"""Commands on learned agents, each also to be run as a module of its own."""
