"""Whether casts round rightly."""
