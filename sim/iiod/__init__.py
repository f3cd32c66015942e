"""A simulated ADALM-Pluto that speaks libiio's network protocol, for use with the unmodified driver."""
