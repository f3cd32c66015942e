"""A simulated ADALM-Pluto that speaks libiio's own network protocol, so that the unchanged driver runs against it."""
