"""The page of a running node, or of a trial's nodes: served from a process of its own, read from the nodes' feeds."""
