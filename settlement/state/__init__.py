"""What a party stores: durable steps, its state beside the log, rules, budgets, shares, witnessing."""
