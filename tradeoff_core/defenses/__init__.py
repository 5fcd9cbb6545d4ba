"""Backdoor defenses, each following its paper: what they flag, and what removing or unlearning it does."""
