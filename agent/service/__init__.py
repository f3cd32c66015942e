"""The agent as a service: status file, health checks with reasons, metrics, log lines, and systemd's watchdog."""
