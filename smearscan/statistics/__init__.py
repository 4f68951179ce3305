"""Pure functions on counts: intervals, naming errors, corrected differentials, the flag's test, stopping."""
