"""What anyone can check offline: a log, both sides of a settlement, verdicts replayed, bundles and seals, leases."""
