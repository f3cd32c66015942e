"""A directory of offers and intents over HTTP: a peer that speeds discovery and that nobody believes."""
