"""What no perturbation within ε can change: interval bounds."""
