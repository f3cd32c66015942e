"""The simulated air, its emitters and its oracle, and the radio and clock that stand in for hardware."""
