"""Implementation of `bandpact sense`, `record` and the sensing benchmarks, behind their command lines."""
