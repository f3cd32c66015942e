"""History of what a node sensed and did, per second, minute and quarter of an hour, bounded on disk."""
