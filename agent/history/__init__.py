"""What a node heard and did over days, by the second, the minute and the quarter of an hour, bounded on disk."""
