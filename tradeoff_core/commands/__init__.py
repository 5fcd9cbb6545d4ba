"""The commands, one file each: `WHAT` it does, `add` its options, `run` it: options -> Answer.

A file imports what its command needs when that runs, so that help comes at once.
"""
