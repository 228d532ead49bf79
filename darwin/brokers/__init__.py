"""What turns orders into fills."""
