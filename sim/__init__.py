"""The simulated air, its emitters and its oracle, and the simulated radio and clock."""
