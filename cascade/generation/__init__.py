"""Language models: prompt templates, prompts as token ids, grammars, and engines that answer.

An engine sees prompts and answers, never taxonomies; what is asked about an item is in
`scoring.methods.llm`, and loading weights in `models`.
"""
