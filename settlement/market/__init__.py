"""The market over the pair: matching, prices, tiers, partial fills. Pure: no I/O, and the time is an argument."""
