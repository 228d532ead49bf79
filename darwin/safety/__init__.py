"""What keeps learned agents harmless: breaker, override limit, kill switch, stages, alerts."""
