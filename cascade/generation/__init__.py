"""Language models: prompts, grammars, and the engines that score and generate."""
