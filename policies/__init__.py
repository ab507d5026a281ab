"""What to do: verdicts and a policy make a decision. Pure, no clock, no I/O but loading."""
