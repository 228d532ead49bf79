"""Canaries of training: each looks for one kind of bug, and sings before the test is looked at."""
