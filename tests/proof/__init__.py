"""Proofs over many schedules: nothing is lost, doubled or overwritten."""
