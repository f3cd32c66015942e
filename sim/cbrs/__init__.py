"""A SAS, base stations and certificates for tests and scenarios, independent of the product's code."""
