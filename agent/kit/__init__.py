"""The trial kit: one file describes a trial, an archive sets up each node, what they did comes back as one report."""
