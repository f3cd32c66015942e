"""A party: receives a message, judges it, acts on what holds, and hands over what is to be sent."""
