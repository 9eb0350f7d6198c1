"""Training for FoodEx2: data made of its catalogue alone, and what is fitted to it.

Fine-tuning of encoders and rerankers does not belong here; it is the same for all taxonomies.
"""
