"""What a party keeps: the one durable step, its state beside the log, rules in force, budgets, shares, witness duty."""
