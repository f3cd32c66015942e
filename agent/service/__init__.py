"""The agent as a service: what it says of itself, health with reasons, metrics, and the watchdog."""
