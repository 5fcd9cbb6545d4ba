"""Defenses that take a back door out of a trained network: a network and clean held-out images in, a cleansed copy out.

Neural Cleanse's unlearning is in `neural_cleanse`, adversarial fine-tuning a field of a run's spec. These need no trigger.
"""
