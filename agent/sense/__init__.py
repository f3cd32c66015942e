"""What `bandpact sense`, `record` and the sensing benchmarks do behind their command lines."""
