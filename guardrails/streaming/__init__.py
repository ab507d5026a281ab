"""Answers that arrive in pieces: what a piece is, and how each protocol is taken apart."""
