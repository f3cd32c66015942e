"""The trial kit: one file describes a trial, an archive sets up each node, and the nodes' logs become one report."""
