"""The solver that computes all steps of any recurrence in parallel: Newton's method on the whole trajectory."""
