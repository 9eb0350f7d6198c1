"""A stand-in for the encoder, learnt from what it says of some texts: words with vectors."""
