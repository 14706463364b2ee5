"""What a step of training does to numbers, and what formats would make of them."""
