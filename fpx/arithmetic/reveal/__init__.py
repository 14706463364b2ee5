"""How a device adds up: order, accumulator, rounding and the rest, from outputs alone."""
