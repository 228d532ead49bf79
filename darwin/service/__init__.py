"""The service: what a deployment knows and does, by HTTP. It keeps no state of its own but jobs."""
