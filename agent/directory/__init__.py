"""A directory of offers and intents over HTTP: speeds up discovery; its answers are verified, not trusted."""
