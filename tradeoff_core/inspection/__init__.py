"""A person decides over training examples: what is known of each, the marks, and what they are worth."""
