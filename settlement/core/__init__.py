"""What everything in the settlement uses: reasons, refusals, and time and place as intervals."""
