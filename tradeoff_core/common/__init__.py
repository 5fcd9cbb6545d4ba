"""What every room uses: errors, paths, locks, devices."""
