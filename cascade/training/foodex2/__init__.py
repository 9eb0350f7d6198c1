"""Supervision for FoodEx2 from its catalogue alone, and what is learnt of it."""
