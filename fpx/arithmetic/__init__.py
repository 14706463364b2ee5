"""Operations on formats, exact, and what becomes of them when they are rounded."""
