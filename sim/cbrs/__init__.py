"""A SAS, base stations and certificates for tests and scenarios: sharing no code with the product's own."""
