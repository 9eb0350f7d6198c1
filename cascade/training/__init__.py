"""Everything that is fitted to labelled rows.

`packs` is what `cascade fit` does, `adapters` and `rankers` what `cascade finetune` does; `foodex2`
learns from a catalogue alone. Modules beside them are shared. What uses fitted weights is not here:
see `scoring`, `features` and `pipeline`.
"""
