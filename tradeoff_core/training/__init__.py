"""What a training is, and how it is carried out."""
