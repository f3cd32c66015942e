"""The web page of a running node, or of a trial's nodes: served by its own process from the nodes' live feeds."""
