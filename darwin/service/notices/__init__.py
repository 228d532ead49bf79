"""What a deployment tells people outside: read from the record, told once."""
