"""What was measured, and what was published."""
