"""How long from a cause to silence: each cause many times, on real processes, timed by the RF oracle."""
