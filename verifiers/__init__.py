"""What is true: an answer split into claims, each checked against sources."""
