"""Where a node's time and place come from, as intervals it can vouch for."""
