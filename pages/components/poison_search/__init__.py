"""What the pages that search a training set share: the choice, the images found, and what removing them does."""
