"""Signal generators for shared bands; they have no code in common with the detectors."""
