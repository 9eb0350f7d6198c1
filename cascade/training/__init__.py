"""Everything that is fitted to labelled rows.

`packs` is what `cascade fit` does, `adapters` and `rankers` what `cascade finetune` does. Modules
beside them are shared by at least two. What uses fitted weights is not here: see `scoring`,
`features` and `pipeline`.
"""
