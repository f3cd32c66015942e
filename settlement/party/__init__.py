"""A party (one node's protocol logic): receives a message, judges it, acts on valid records, queues replies."""
