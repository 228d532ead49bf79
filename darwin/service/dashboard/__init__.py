"""Pages for people: rendered here, with scripts that come from this host alone."""
