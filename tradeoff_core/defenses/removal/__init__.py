"""Defenses that take a back door out of a trained network: a network and clean held-out images in, a cleansed copy out.

Neural Cleanse's unlearning is in `neural_cleanse`, adversarial fine-tuning a field of a run's spec. What is set here was chosen
on the validation images of two networks of the zoo (dirty-label with standard training, clean-label with PGD at ε 0.3), from
two to five settings each: those that closed more of the back door among those that kept clean accuracy within about 4 points.
"""
