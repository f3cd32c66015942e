"""Values that all settlement code uses: refusal reasons, refusals, and intervals of time and place."""
