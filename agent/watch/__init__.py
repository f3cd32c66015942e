"""The running node's state in a terminal, over ssh, with the same emergency stop as the page."""
