"""What is measured of trained networks: lines in assets/results/, keyed by the checksum of the weights."""
