"""The solver that is parallel in time for any recurrence: Newton's method on the whole trajectory."""
