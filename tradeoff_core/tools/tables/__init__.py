"""Tables of what was measured, made of the files in assets/results/ and of the cards."""
