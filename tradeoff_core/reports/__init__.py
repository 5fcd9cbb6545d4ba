"""What leaves the app as one file: the hand-out for a class, the report of runs, the notebook that measures one again."""
